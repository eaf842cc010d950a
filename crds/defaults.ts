import { isObject, objectAt, textAt, withAt } from "./json.ts";
import type { JsonObject } from "./schema/types.ts";

const ROUTING_GROUP = "serving.kserve.io/routing-group";

/** Pod specs of a service whose `containers` must be a list. */
const POD_SPECS: readonly (readonly string[])[] = [
  ["spec", "template"],
  ["spec", "worker"],
  ["spec", "prefill", "template"],
  ["spec", "prefill", "worker"],
  ["spec", "router", "scheduler", "template"],
];

/**
 * What the defaulting webhook fills into a v1alpha2 LLMInferenceService, as KServe ≥ 0.19 does: `model.name`, the label of
 * its routing group, empty container lists. Schema defaults are not part of it. The input stays as it is.
 */
export function applyServiceDefaults(service: JsonObject): JsonObject {
  let result = service;
  const name = textAt(service, "metadata", "name") ?? "";
  if (
    isObject(objectAt(service, "spec", "model")) &&
    (textAt(service, "spec", "model", "name") ?? "") === "" &&
    name !== ""
  )
    result = withAt(result, ["spec", "model", "name"], name);
  result = withRoutingGroup(result);
  for (const path of POD_SPECS) {
    const pod = objectAt(result, ...path);
    if (pod !== undefined && !Array.isArray(pod["containers"])) result = withAt(result, [...path, "containers"], []);
  }
  return result;
}

function withRoutingGroup(service: JsonObject): JsonObject {
  const group = textAt(service, "spec", "router", "route", "group");
  const path = ["metadata", "labels", ROUTING_GROUP];
  if (group === textAt(service, ...path)) return service;
  return withAt(service, path, group);
}
