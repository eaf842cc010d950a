import { at, listAt, objectAt, textAt, withAt } from "./json.ts";
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
  let result = withRoutingGroup(withModelName(service));
  for (const path of POD_SPECS) {
    const pod = objectAt(result, ...path);
    if (pod !== undefined && !Array.isArray(pod["containers"])) result = withAt(result, [...path, "containers"], []);
  }
  return result;
}

/** A model whose URI comes from a base has the empty one, as KServe stores it: the schema requires the field. */
function withModelName(service: JsonObject): JsonObject {
  const name = textAt(service, "metadata", "name") ?? "";
  if (name === "" || (textAt(service, "spec", "model", "name") ?? "") !== "") return service;
  const model = objectAt(service, "spec", "model") ?? {};
  const hasBase = listAt(service, "spec", "baseRefs").length > 0;
  const uri = at(model, "uri") ?? (hasBase || Object.keys(model).length === 0 ? "" : undefined);
  return withAt(service, ["spec", "model"], { ...model, name, ...(uri === undefined ? {} : { uri }) });
}

function withRoutingGroup(service: JsonObject): JsonObject {
  const group = textAt(service, "spec", "router", "route", "group");
  const path = ["metadata", "labels", ROUTING_GROUP];
  if (group === textAt(service, ...path)) return service;
  return withAt(service, path, group);
}
