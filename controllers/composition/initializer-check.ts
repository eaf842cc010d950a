import type { JsonObject } from "../../crds/schema/types.ts";
import { at, isObject, listAt } from "../../crds/json.ts";
import type { CompositionWarning } from "./types.ts";

const INITIALIZER = "storage-initializer";

/** Pod specs whose model is downloaded, as paths from the spec. */
const PODS: readonly (readonly string[])[] = [["template"], ["worker"], ["prefill", "template"], ["prefill", "worker"]];

/**
 * Tells that command and arguments of a storage initializer that the user wrote are not taken: the operator's own say what is
 * downloaded whereto (KServe v0.20: reason `StorageInitializerOverride`).
 */
export function initializerWarnings(spec: JsonObject): readonly CompositionWarning[] {
  if (at(spec, "storageInitializer", "enabled") === false) return [];
  return PODS.flatMap((path) =>
    listAt(spec, ...path, "initContainers")
      .filter(isObject)
      .filter((container) => container["name"] === INITIALIZER)
      .filter((container) => listAt(container, "args").length > 0 || listAt(container, "command").length > 0)
      .map(() => ({
        reason: "StorageInitializerOverride",
        message: `spec.${path.join(".")}.initContainers[${INITIALIZER}]: command and args are the operator's and are ignored; spec.storageInitializer.enabled: false leaves the container as you wrote it`,
      })),
  );
}
