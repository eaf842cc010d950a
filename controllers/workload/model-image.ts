import { posix } from "node:path";
import type { JsonObject } from "../../crds/schema/types.ts";
import { objectAt } from "../../crds/json.ts";
import { compact, named, putNamed } from "../json-edit.ts";
import { type Pass, PassError } from "../llminferenceservice/pass.ts";
import type { ModelSource } from "./model-uri.ts";
import { MODEL_PATH, MODEL_VOLUME, type ModelTarget, requireFreePath } from "./model-target.ts";
import { editContainer, env, mount, withInitContainer, withMount, withVolume } from "./pod.ts";

const MODELCAR = "modelcar";

/** How an image is attached: to which container, and the reason of the condition where it cannot be. */
interface ImageOptions {
  readonly target: ModelTarget;
  readonly reason: string;
}

function nativeImageAttached(pod: JsonObject, reference: string, { target, reason }: ImageOptions): JsonObject {
  const volume = target.path.slice(1).replaceAll("/", "-");
  requireFreePath(pod, volume, { target, reason });
  const attached = withVolume(pod, { name: volume, image: { reference, pullPolicy: "IfNotPresent" } });
  return editContainer(attached, target.container, (main) =>
    withMount(main, mount(volume, target.path, { readOnly: true, subPath: "models" })),
  );
}

/** Files of another process are seen through its root; `$$$$` is the shell's own process id, escaped for the kubelet. */
function linkScript(path: string): string {
  const link = `ln -sf /proc/$$$$/root/models ${path} && sleep infinity`;
  return path === MODEL_PATH ? link : `mkdir -p ${posix.dirname(path)} && ${link}`;
}

/** The shared volume lies above the model: the link is made in it. */
const sharedMount = (path: string): JsonObject => mount(MODEL_VOLUME, posix.dirname(path));

function modelcarContainer(pass: Pass, image: string, path: string): JsonObject {
  const { modelcarCpu: cpu, modelcarMemory: memory, modelcarUid } = pass.global.storageInitializer;
  return compact({
    name: MODELCAR,
    image,
    args: ["sh", "-c", linkScript(path)],
    resources: { limits: { cpu, memory }, requests: { cpu, memory } },
    securityContext: modelcarUid === undefined ? undefined : { runAsUser: modelcarUid },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [sharedMount(path)],
  });
}

/** Fails before anything starts where the image holds no model. */
function modelcarCheck(pass: Pass, image: string): JsonObject {
  const { modelcarCpu: cpu, modelcarMemory: memory } = pass.global.storageInitializer;
  const script =
    'if [ -d /models ] && [ -n "$(ls -A /models)" ]; then exit 0; fi; echo "image has no files in /models" >&2; exit 1';
  return {
    name: `${MODELCAR}-init`,
    image,
    args: ["sh", "-c", script],
    resources: { limits: { cpu, memory }, requests: { cpu, memory } },
    terminationMessagePolicy: "FallbackToLogsOnError",
  };
}

/** The image runs beside the server, which reads the model through the shared process namespace. */
function modelcarAttached(pass: Pass, pod: JsonObject, image: string, { target, reason }: ImageOptions): JsonObject {
  if (named(pod["containers"], target.container) === undefined)
    throw new PassError(
      reason,
      `spec.template.containers: no container found with name ${target.container}: an oci:// model needs it`,
    );
  const uid = pass.global.storageInitializer.modelcarUid;
  const withMain = editContainer(pod, target.container, (main) =>
    withMount(
      {
        ...main,
        env: putNamed(main["env"], env("MODEL_INIT_MODE", "async")),
        ...(uid === undefined ? {} : { securityContext: { ...objectAt(main["securityContext"]), runAsUser: uid } }),
      },
      sharedMount(target.path),
    ),
  );
  const shared = withVolume({ ...withMain, shareProcessNamespace: true }, { name: MODEL_VOLUME, emptyDir: {} });
  const container = modelcarContainer(pass, image, target.path);
  return withInitContainer(
    { ...shared, containers: putNamed(shared["containers"], container) },
    modelcarCheck(pass, image),
  );
}

/** The pod with a model that comes in an image: as a volume of it, or from a container of it beside the server. */
export function imageAttached(
  pass: Pass,
  pod: JsonObject,
  source: ModelSource & { kind: "image" },
  options: ImageOptions,
): JsonObject {
  const mode = source.native ? "native" : pass.global.storageInitializer.ociModelMode;
  if (mode === undefined)
    throw new PassError(
      options.reason,
      "spec.model.uri: OCI modelcars is not enabled: set ociModelMode in key storageInitializer of ConfigMap inferenceservice-config",
    );
  return mode === "native"
    ? nativeImageAttached(pod, source.reference, options)
    : modelcarAttached(pass, pod, source.reference, options);
}
