import { childName, childParent } from "../../templates/child-name.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { at, textAt } from "../../crds/json.ts";
import { named } from "../json-edit.ts";
import { type Pass, PassError } from "../llminferenceservice/pass.ts";
import { type CredentialSource, withCredentials } from "./credentials.ts";
import { adapterFolder, loraAdapters } from "./lora.ts";
import { imageAttached } from "./model-image.ts";
import { MODEL_PATH, MODEL_VOLUME, type ModelTarget, requireFreePath } from "./model-target.ts";
import { type ModelSource, cachedModelUri, parseModelUri } from "./model-uri.ts";
import {
  MAIN_CONTAINER,
  editContainer,
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

/** Folder of downloaded LoRA adapters in the serving container. */
export const LORA_PATH = "/mnt/lora";

const CLAIM_VOLUME = "kserve-pvc-source";
/** Adapters have a volume of their own: nested in the read-only mount of the model they would have no mount point. */
const LORA_VOLUME = "kserve-lora-location";

/** How the pod at hand gets its model. */
export interface ArtifactOptions {
  /** Reason of the condition when the model cannot be attached. */
  readonly reason: string;
  readonly credentials: CredentialSource;
  /** The live pod spec, if the workload exists. */
  readonly livePod: JsonObject | undefined;
  /** Who reads the model. */
  readonly target: ModelTarget;
}

function claimAttached(
  pod: JsonObject,
  volume: string,
  source: { claim: string; path: string },
  place: Pick<ModelTarget, "container" | "path">,
): JsonObject {
  const attached = withVolume(pod, { name: volume, persistentVolumeClaim: { claimName: source.claim } });
  return editContainer(attached, place.container, (main) =>
    withMount(main, mount(volume, place.path, { readOnly: true, subPath: source.path })),
  );
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

/** Volumes have names of their own; adapters may be called anything. */
const adapterVolume = (name: string): string =>
  childName("lora-pvc-", /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name) ? name : childParent(name));

function adapterClaims(pod: JsonObject, adapters: readonly Adapter[]): JsonObject {
  return adapters.reduce((result, { name, folder, source }) => {
    if (source.kind !== "pvc") return result;
    const place = { container: MAIN_CONTAINER, path: `${LORA_PATH}/${folder}` };
    return claimAttached(result, adapterVolume(name), source, place);
  }, pod);
}

type DownloadPair = readonly [uri: string, folder: string];

function downloadVolumes(pod: JsonObject, model: ModelTarget | undefined, adapters: readonly Adapter[]): JsonObject {
  const withModel =
    model === undefined
      ? pod
      : editContainer(withVolume(pod, { name: MODEL_VOLUME, emptyDir: {} }), model.container, (main) =>
          withMount(main, mount(MODEL_VOLUME, model.path, { readOnly: true })),
        );
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
    pod: downloadVolumes(pod, own.length > 0 ? options.target : undefined, downloaded),
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
  const { reason, target } = options;
  const uri = textAt(pass.spec, "model", "uri") ?? "";
  parseModelUri(uri, "spec.model.uri", reason);
  const adapters = target.adapters ? adapterSources(pass, reason) : [];
  const enabled = at(pass.spec, "storageInitializer", "enabled") !== false;
  checkAdapters(adapters, enabled, reason);
  if (!enabled) return pod;
  const source = parseModelUri(cachedModelUri(uri, pass.labels, pass.annotations, reason), "spec.model.uri", reason);
  const override = named(pod["initContainers"], STORAGE_INITIALIZER);
  const bare = withoutInitContainer(pod, STORAGE_INITIALIZER);
  if (source.kind === "pvc") requireFreePath(bare, CLAIM_VOLUME, options);
  if (source.kind === "download") requireFreePath(bare, MODEL_VOLUME, options);
  const based =
    source.kind === "pvc"
      ? claimAttached(bare, CLAIM_VOLUME, source, target)
      : source.kind === "image"
        ? imageAttached(pass, bare, source, options)
        : bare;
  return adapterClaims(downloadsAttached(pass, based, source, adapters, { ...options, override }), adapters);
}
