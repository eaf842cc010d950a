import type { JsonObject } from "../../crds/schema/types.ts";
import { at, objectAt, textAt } from "../../crds/json.ts";
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

/** The user's env entries replace ours of the same name; the others follow. */
function mergedEnv(own: readonly JsonObject[], user: readonly JsonObject[]): JsonObject[] {
  const replaced = own.map((variable) => user.find((other) => other["name"] === variable["name"]) ?? variable);
  return [...replaced, ...user.filter((variable) => !own.some((other) => other["name"] === variable["name"]))];
}

function overridden(container: JsonObject, override: JsonObject | undefined): JsonObject {
  if (override === undefined) return container;
  const { args: _args, command: _command, env: userEnv, volumeMounts, resources: userResources, ...rest } = override;
  const merged = mergedEnv(objectsOf(container["env"]), objectsOf(userEnv));
  const limits = { ...objectAt(container, "resources", "limits"), ...objectAt(userResources, "limits") };
  const requests = { ...objectAt(container, "resources", "requests"), ...objectAt(userResources, "requests") };
  return {
    ...container,
    ...rest,
    ...(merged.length > 0 ? { env: merged } : {}),
    resources: { ...objectAt(container, "resources"), ...objectAt(userResources), limits, requests },
    volumeMounts: [...objectsOf(container["volumeMounts"]), ...objectsOf(volumeMounts)],
  };
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
