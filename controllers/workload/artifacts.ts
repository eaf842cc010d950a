import { posix } from "node:path";
import { childName } from "../../templates/child-name.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { at, stringAt } from "../composition/json.ts";
import { compact, named, objectsOf, putNamed } from "../json-edit.ts";
import { type Pass, PassError } from "../llminferenceservice/pass.ts";
import { type CredentialSource, withCredentials } from "./credentials.ts";
import { adapterFolder, loraAdapters } from "./lora.ts";
import { type ModelSource, cachedModelUri, parseModelUri } from "./model-uri.ts";
import {
  MAIN_CONTAINER,
  editContainer,
  env,
  mount,
  withFurtherMount,
  withInitContainer,
  withMount,
  withVolume,
  withoutInitContainer,
} from "./pod.ts";
import {
  type Download,
  STORAGE_INITIALIZER,
  buildStorageInitializer,
  withHuggingFaceEnv,
} from "./storage-initializer.ts";

/** Where the model lies in the serving container. */
export const MODEL_PATH = "/mnt/models";

/** Folder of downloaded LoRA adapters in the serving container. */
export const LORA_PATH = "/mnt/lora";

const MODEL_VOLUME = "kserve-provision-location";
const CLAIM_VOLUME = "kserve-pvc-source";
/** Adapters have a volume of their own: nested in the read-only mount of the model they would have no mount point. */
const LORA_VOLUME = "kserve-lora-location";
const MODELCAR = "modelcar";

/** How the pod at hand gets its model. */
export interface ArtifactOptions {
  /** Reason of the condition when the model cannot be attached. */
  readonly reason: string;
  readonly credentials: CredentialSource;
  /** The live pod spec, if the workload exists. */
  readonly livePod: JsonObject | undefined;
}

function claimAttached(
  pod: JsonObject,
  volume: string,
  source: { claim: string; path: string },
  path: string,
): JsonObject {
  const attached = withVolume(pod, { name: volume, persistentVolumeClaim: { claimName: source.claim } });
  return editContainer(attached, MAIN_CONTAINER, (main) =>
    withMount(main, mount(volume, path, { readOnly: true, subPath: source.path })),
  );
}

function nativeImageAttached(pod: JsonObject, reference: string, reason: string): JsonObject {
  const volume = MODEL_PATH.slice(1).replaceAll("/", "-");
  const occupied = objectsOf(at(named(pod["containers"], MAIN_CONTAINER), "volumeMounts")).some(
    (existing) => existing["mountPath"] === MODEL_PATH && existing["name"] !== volume,
  );
  if (occupied)
    throw new PassError(
      reason,
      `spec.template: container ${MAIN_CONTAINER} mounts another volume at ${MODEL_PATH}: remove it`,
    );
  const attached = withVolume(pod, { name: volume, image: { reference, pullPolicy: "IfNotPresent" } });
  return editContainer(attached, MAIN_CONTAINER, (main) =>
    withMount(main, mount(volume, MODEL_PATH, { readOnly: true, subPath: "models" })),
  );
}

function modelcarContainer(pass: Pass, image: string): JsonObject {
  const { modelcarCpu: cpu, modelcarMemory: memory, modelcarUid } = pass.global.storageInitializer;
  return compact({
    name: MODELCAR,
    image,
    args: ["sh", "-c", `ln -sf /proc/$$$$/root/models ${MODEL_PATH} && sleep infinity`],
    resources: { limits: { cpu, memory }, requests: { cpu, memory } },
    securityContext: modelcarUid === undefined ? undefined : { runAsUser: modelcarUid },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [mount(MODEL_VOLUME, posix.dirname(MODEL_PATH))],
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
function modelcarAttached(pass: Pass, pod: JsonObject, image: string, reason: string): JsonObject {
  if (named(pod["containers"], MAIN_CONTAINER) === undefined)
    throw new PassError(
      reason,
      `spec.template.containers: no container found with name ${MAIN_CONTAINER}: an oci:// model needs it`,
    );
  const uid = pass.global.storageInitializer.modelcarUid;
  const withMain = editContainer(pod, MAIN_CONTAINER, (main) =>
    withMount(
      {
        ...main,
        env: putNamed(main["env"], env("MODEL_INIT_MODE", "async")),
        ...(uid === undefined ? {} : { securityContext: { ...objectOr(main["securityContext"]), runAsUser: uid } }),
      },
      mount(MODEL_VOLUME, posix.dirname(MODEL_PATH)),
    ),
  );
  const shared = withVolume({ ...withMain, shareProcessNamespace: true }, { name: MODEL_VOLUME, emptyDir: {} });
  const container = modelcarContainer(pass, image);
  return withInitContainer(
    { ...shared, containers: putNamed(shared["containers"], container) },
    modelcarCheck(pass, image),
  );
}

const objectOr = (value: JsonObject[string] | undefined): JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};

function imageAttached(
  pass: Pass,
  pod: JsonObject,
  source: ModelSource & { kind: "image" },
  reason: string,
): JsonObject {
  const mode = source.native ? "native" : pass.global.storageInitializer.ociModelMode;
  if (mode === undefined)
    throw new PassError(
      reason,
      "spec.model.uri: OCI modelcars is not enabled: set ociModelMode in key storageInitializer of ConfigMap inferenceservice-config",
    );
  return mode === "native"
    ? nativeImageAttached(pod, source.reference, reason)
    : modelcarAttached(pass, pod, source.reference, reason);
}

interface Adapter {
  readonly name: string;
  readonly folder: string;
  readonly source: ModelSource;
}

function adapterSources(pass: Pass, reason: string): readonly Adapter[] {
  return loraAdapters(pass.spec).map(({ name, uri }) => ({
    name,
    folder: adapterFolder(name),
    source: parseModelUri(uri, `spec.model.lora.adapters[name=${name}].uri`, reason),
  }));
}

function adapterClaims(pod: JsonObject, adapters: readonly Adapter[]): JsonObject {
  return adapters.reduce((result, { name, folder, source }) => {
    if (source.kind !== "pvc") return result;
    return claimAttached(result, childName("lora-pvc-", name), source, `${LORA_PATH}/${folder}`);
  }, pod);
}

type DownloadPair = readonly [uri: string, folder: string];

function downloadVolumes(pod: JsonObject, model: boolean, adapters: readonly Adapter[]): JsonObject {
  const withModel = model
    ? editContainer(withVolume(pod, { name: MODEL_VOLUME, emptyDir: {} }), MAIN_CONTAINER, (main) =>
        withMount(main, mount(MODEL_VOLUME, MODEL_PATH, { readOnly: true })),
      )
    : pod;
  if (adapters.length === 0) return withModel;
  const withLora = withVolume(withModel, { name: LORA_VOLUME, emptyDir: {} });
  return editContainer(withLora, MAIN_CONTAINER, (main) =>
    adapters.reduce(
      (result, { folder }) =>
        withFurtherMount(result, mount(LORA_VOLUME, `${LORA_PATH}/${folder}`, { readOnly: true, subPath: folder })),
      main,
    ),
  );
}

function downloadsAttached(
  pass: Pass,
  pod: JsonObject,
  base: ModelSource,
  adapters: readonly Adapter[],
  options: ArtifactOptions & { readonly override: JsonObject | undefined },
): JsonObject {
  const own: DownloadPair[] = base.kind === "download" ? [[base.uri, MODEL_PATH]] : [];
  const further = adapters.flatMap<DownloadPair>(({ source, folder }) =>
    source.kind === "download" ? [[source.uri, `${LORA_PATH}/${folder}`]] : [],
  );
  const pairs = [...own, ...further];
  if (pairs.length === 0) return pod;
  const downloaded = adapters.filter(({ source }) => source.kind === "download");
  const mounts = [
    ...(own.length > 0 ? [mount(MODEL_VOLUME, MODEL_PATH)] : []),
    ...(downloaded.length > 0 ? [mount(LORA_VOLUME, LORA_PATH)] : []),
  ];
  const download: Download = { pairs, mounts, override: options.override, livePod: options.livePod };
  const started = {
    pod: downloadVolumes(pod, own.length > 0, downloaded),
    container: buildStorageInitializer(pass, download),
  };
  const { pod: credentialed, container } = withCredentials(pass, started, options);
  return withInitContainer(credentialed, withHuggingFaceEnv(container, download));
}

function checkAdapters(adapters: readonly Adapter[], initializer: boolean, reason: string): void {
  for (const { name, source } of adapters) {
    const field = `spec.model.lora.adapters[name=${name}].uri`;
    if (source.kind === "image")
      throw new PassError(reason, `${field}: adapters cannot come from an image: use hf://, s3:// or pvc://`);
    if (!initializer)
      throw new PassError(
        reason,
        `${field}: adapters need the storage initializer, which spec.storageInitializer.enabled turns off`,
      );
  }
}

/**
 * The pod spec with model and LoRA adapters attached: claims and images as volumes, everything else downloaded by an init
 * container. With `spec.storageInitializer.enabled: false` the pod is as the user wrote it. Throws `PassError` for a URI that
 * cannot be served.
 */
export function withModelArtifacts(pass: Pass, pod: JsonObject, options: ArtifactOptions): JsonObject {
  const { reason } = options;
  const uri = stringAt(pass.spec, "model", "uri") ?? "";
  parseModelUri(uri, "spec.model.uri", reason);
  const adapters = adapterSources(pass, reason);
  const enabled = at(pass.spec, "storageInitializer", "enabled") !== false;
  checkAdapters(adapters, enabled, reason);
  if (!enabled) return pod;
  const source = parseModelUri(cachedModelUri(uri, pass.labels, pass.annotations, reason), "spec.model.uri", reason);
  const override = named(pod["initContainers"], STORAGE_INITIALIZER);
  const bare = withoutInitContainer(pod, STORAGE_INITIALIZER);
  const based =
    source.kind === "pvc"
      ? claimAttached(bare, CLAIM_VOLUME, source, MODEL_PATH)
      : source.kind === "image"
        ? imageAttached(pass, bare, source, reason)
        : bare;
  return downloadsAttached(pass, adapterClaims(based, adapters), source, adapters, { ...options, override });
}
