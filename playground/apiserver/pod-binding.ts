import type { JsonObject } from "../../crds/schema/types.ts";
import { conflict } from "./errors.ts";
import { at, ensureObject, listOf, metaOf, nameOf, textOf, timestamp } from "./objects.ts";

/** The pod on the node that a Binding (core v1) names. Errors: 409 for a pod that goes, has a node, or is another one. */
export function boundPod(pod: JsonObject, binding: JsonObject, nowMs: number): JsonObject {
  const refused = (reason: string) => conflict({ group: "", kind: "pods/binding", name: nameOf(pod) }, reason);
  const uid = textOf(at(binding, "metadata", "uid"));
  const own = textOf(metaOf(pod)["uid"]);
  if (uid !== "" && uid !== own)
    throw refused(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${own}`);
  if (metaOf(pod)["deletionTimestamp"] !== undefined)
    throw refused(`pod ${nameOf(pod)} is being deleted, cannot be assigned to a host`);
  const node = textOf(at(pod, "spec", "nodeName"));
  if (node !== "") throw refused(`pod ${nameOf(pod)} is already assigned to node ${JSON.stringify(node)}`);
  const bound = structuredClone(pod);
  ensureObject(bound, "spec")["nodeName"] = textOf(at(binding, "target", "name"));
  const status = ensureObject(bound, "status");
  const others = listOf(status["conditions"]).filter((condition) => at(condition, "type") !== "PodScheduled");
  const scheduled = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: timestamp(nowMs) };
  status["conditions"] = [...others, scheduled];
  return bound;
}
