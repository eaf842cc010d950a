import type { JsonObject } from "../../crds/schema/types.ts";
import { at, textAt } from "../../crds/json.ts";
import { mergeContainer } from "../composition/merge.ts";
import { compact, named, objectsOf } from "../json-edit.ts";
import type { Pass } from "../llminferenceservice/pass.ts";
import { env, withEnv } from "./pod.ts";

/** Name of the init container that downloads models; one that the user wrote is merged over ours. */
export const STORAGE_INITIALIZER = "storage-initializer";

const HUGGING_FACE_ENV: readonly JsonObject[] = [
  env("HF_HUB_ENABLE_HF_TRANSFER", "1"),
  env("HF_XET_HIGH_PERFORMANCE", "1"),
  env("HF_XET_NUM_CONCURRENT_RANGE_GETS", "8"),
];

/** What one storage initializer does. */
export interface Download {
  /** URI and target folder, alternating, as its arguments take them. */
  readonly pairs: readonly (readonly [uri: string, folder: string])[];
  readonly mounts: readonly JsonObject[];
  /** The user's own init container of that name, if the template has one. */
  readonly override: JsonObject | undefined;
  /** The live pod spec, so that an image in use stays. */
  readonly livePod: JsonObject | undefined;
}

function resources(pass: Pass): JsonObject {
  const { cpuLimit, cpuRequest, memoryLimit, memoryRequest } = pass.global.storageInitializer.resources;
  return { limits: { cpu: cpuLimit, memory: memoryLimit }, requests: { cpu: cpuRequest, memory: memoryRequest } };
}

function confidentialEnv(pass: Pass): readonly JsonObject[] {
  if (at(pass.spec, "model", "confidential", "enabled") !== true) return [];
  const resourceId = textAt(pass.spec, "model", "confidential", "resourceId") ?? "";
  return [
    env("CONFIDENTIAL_ENABLED", "true"),
    ...(resourceId === "" ? [] : [env("CONFIDENTIAL_RESOURCE_ID", resourceId)]),
  ];
}

/** What it downloads whereto is not the user's to say. */
function overridden(container: JsonObject, override: JsonObject | undefined): JsonObject {
  if (override === undefined) return container;
  const { args: _args, command: _command, ...rest } = override;
  return mergeContainer(container, rest);
}

/**
 * Whether downloads from the Hugging Face hub get the tuning variables. A live pod whose initializer runs without any `HF_`
 * variable was made by an old release: adding them would restart it for nothing.
 */
function wantsHuggingFaceEnv(download: Download): boolean {
  const live = named(at(download.livePod, "initContainers"), STORAGE_INITIALIZER);
  return (
    live === undefined ||
    objectsOf(live["env"]).some((variable) => textAt(variable, "name")?.startsWith("HF_") === true)
  );
}

/** The init container that downloads models, without credentials (KServe v0.20). */
export function buildStorageInitializer(pass: Pass, download: Download): JsonObject {
  const live = named(at(download.livePod, "initContainers"), STORAGE_INITIALIZER);
  const container = compact({
    name: STORAGE_INITIALIZER,
    image: textAt(live, "image") ?? pass.global.storageInitializer.image,
    args: download.pairs.flat(),
    resources: resources(pass),
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [...download.mounts],
  });
  const single = withEnv(container, download.pairs.length === 1 ? confidentialEnv(pass) : []);
  return overridden(single, download.override);
}

/** The initializer with the tuning of Hugging Face downloads, where it has any. */
export function withHuggingFaceEnv(container: JsonObject, download: Download): JsonObject {
  const fromHub = download.pairs.some(([uri]) => uri.startsWith("hf://"));
  return fromHub && wantsHuggingFaceEnv(download) ? withEnv(container, HUGGING_FACE_ENV) : container;
}
