import { at } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import type { KubeObject } from "../../kube/types.ts";
import { asJson } from "../llminferenceservice/pass.ts";
import { type Condition, conditionOf } from "../status/conditions.ts";

/** Services that the status names, at most; the message counts all. */
const MAX_NAMED = 100;

/** The status of a config that those services (`namespace/name`) are built on. Times of conditions that stay are kept. */
export function configStatus(config: KubeObject, users: readonly string[], nowMs: number): JsonObject {
  const current = at(asJson(config), "status", "conditions");
  const referencedBy = users.slice(0, MAX_NAMED).map((user): Json => {
    const [namespace = "", name = ""] = user.split("/");
    return { name, namespace };
  });
  const conditions = [inUse(users.length, config.metadata.deletionTimestamp !== undefined), READY].map((condition) =>
    timed(condition, conditionOf(current, condition.type), nowMs),
  );
  return {
    ...(at(asJson(config), "status", "annotations") === undefined
      ? {}
      : { annotations: at(asJson(config), "status", "annotations")! }),
    conditions,
    observedGeneration: config.metadata.generation ?? 0,
    ...(referencedBy.length === 0 ? {} : { referencedBy }),
  };
}

const READY: Condition = { type: "Ready", status: "True" };

function inUse(count: number, leaves: boolean): Condition {
  const condition = { type: "ConfigInUse", severity: "Info" } as const;
  if (count === 0)
    return { ...condition, status: "False", reason: "NotInUse", message: "not referenced by any LLMInferenceService" };
  const reason = leaves ? "DeletionBlocked" : "InUse";
  return { ...condition, status: "True", reason, message: `referenced by ${count} LLMInferenceService(s)` };
}

/** The condition with the time of its last change. */
function timed(condition: Condition, before: Condition | undefined, nowMs: number): JsonObject {
  const isSame =
    before !== undefined &&
    before.status === condition.status &&
    before.reason === condition.reason &&
    before.message === condition.message;
  const lastTransitionTime = isSame ? before.lastTransitionTime : new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");
  return { ...condition, ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }) };
}
