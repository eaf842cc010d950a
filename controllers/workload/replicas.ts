import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { FIELD_MANAGER } from "../../kube/apply.ts";
import { at, objectAt, textAt } from "../../crds/json.ts";
import { integerOf, objectsOf } from "../json-edit.ts";

function holdsReplicas(entry: Json): boolean {
  return objectAt(entry, "fieldsV1", "f:spec", "f:replicas") !== undefined;
}

/**
 * Replicas of model servers to apply: those of the spec. Without any the live number belongs to whoever set it last, an autoscaler or a
 * person. Where that was this operator, under an earlier spec, the number is held until somebody else takes it over: a field
 * that its only manager gives up falls back to the API's default of 1.
 */
export function appliedReplicas(spec: JsonObject, live: JsonObject | undefined): number | undefined {
  const wanted = integerOf(spec["replicas"]);
  if (wanted !== undefined) return wanted;
  const managers = objectsOf(at(live, "metadata", "managedFields"))
    .filter(holdsReplicas)
    .map((entry) => textAt(entry, "manager"));
  const onlyUs = managers.length > 0 && managers.every((manager) => manager === FIELD_MANAGER);
  return onlyUs ? integerOf(at(live, "spec", "replicas")) : undefined;
}
