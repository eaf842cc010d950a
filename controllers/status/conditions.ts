import type { Json } from "../../crds/schema/types.ts";
import { textAt } from "../../crds/json.ts";
import { objectsOf } from "../json-edit.ts";

/** Status of a condition. */
export type ConditionStatus = "True" | "False" | "Unknown";

/** One condition of an LLMInferenceService: `severity` is `Info` for all but Ready and its dependents. */
export interface Condition {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly severity?: "Info";
  readonly reason?: string;
  readonly message?: string;
  /** RFC 3339, seconds. */
  readonly lastTransitionTime?: string;
}

/** Conditions that this operator sets on a service, in the order in which a parent's first failure is chosen. */
export const WORKLOAD_CONDITIONS = [
  "MainWorkloadReady",
  "WorkerWorkloadReady",
  "PrefillWorkloadReady",
  "PrefillWorkerWorkloadReady",
  "ScalingReady",
  "PrefillScalingReady",
] as const;
export const ROUTER_CONDITIONS = [
  "GatewaysReady",
  "HTTPRoutesReady",
  "InferencePoolReady",
  "SchedulerWorkloadReady",
  "TokenizerReady",
] as const;
const DEPENDENTS = ["PresetsCombined", "WorkloadsReady", "RouterReady"] as const;

/** A condition below a parent. */
export type PartCondition = (typeof WORKLOAD_CONDITIONS)[number] | (typeof ROUTER_CONDITIONS)[number];

/** Conditions that inform, and that no parent heeds: of routing groups, and of services without replicas. */
export type InformingCondition = "GroupReady" | "GroupDegraded" | "ScaledToZero";

/** What a pass says of one condition; `absent` removes it, and what is not marked stays as it was. */
export type Mark =
  | { readonly status: "True"; readonly reason?: string; readonly message?: string }
  | { readonly status: "False" | "Unknown"; readonly reason: string; readonly message: string }
  | { readonly status: "absent" };

/** All marks of a pass. */
export type Marks = Readonly<Partial<Record<PartCondition | "PresetsCombined" | InformingCondition, Mark>>>;

/** Removes a condition. */
export const ABSENT: Mark = { status: "absent" };
/** A condition that holds. */
export const TRUE: Mark = { status: "True" };

/** A condition that does not hold. */
export function notReady(reason: string, message: string): Mark {
  return { status: "False", reason, message };
}

/** A condition of which nothing is known yet. */
export function unknown(reason: string, message: string): Mark {
  return { status: "Unknown", reason, message };
}

/** A condition list as the API holds it; entries without a type or a known status are dropped. */
export function parseConditions(value: Json | undefined): readonly Condition[] {
  return objectsOf(value).flatMap((entry) => {
    const [type, status] = [textAt(entry, "type"), textAt(entry, "status")];
    if (type === undefined || (status !== "True" && status !== "False" && status !== "Unknown")) return [];
    const text = (key: "reason" | "message" | "lastTransitionTime"): Partial<Condition> => {
      const found = textAt(entry, key);
      return found === undefined ? {} : { [key]: found };
    };
    const severity = entry["severity"] === "Info" ? ({ severity: "Info" } as const) : {};
    return [{ type, status, ...severity, ...text("reason"), ...text("message"), ...text("lastTransitionTime") }];
  });
}

/** The condition of that type in a list of the API. */
export function conditionOf(value: Json | undefined, type: string): Condition | undefined {
  return parseConditions(value).find((condition) => condition.type === type);
}

function fromMark(type: string, mark: Exclude<Mark, { status: "absent" }>, severity: boolean): Condition {
  const { reason = "", message = "" } = mark;
  return {
    type,
    status: mark.status,
    ...(severity ? { severity: "Info" as const } : {}),
    ...(reason === "" ? {} : { reason }),
    ...(message === "" ? {} : { message }),
  };
}

type Conditions = ReadonlyMap<string, Condition>;

/** Reasons of parts that are on their way: a fault elsewhere says more. */
const ON_THE_WAY: ReadonlySet<string> = new Set([
  "Stopped",
  "Progressing",
  "MinimumReplicasUnavailable",
  "HPAProgressing",
  "ScaledObjectProgressing",
  "WaitingForGateway",
  "HTTPRoutesNotReady",
  "HTTPRouteNotObserved",
  "InferencePoolNotObserved",
  "GatewaysNotReady",
]);

/** Whether a condition that does not hold may come to hold without anybody's help. */
export function isOnTheWay(condition: Condition): boolean {
  return ON_THE_WAY.has(condition.reason ?? "");
}

/**
 * The condition over several parts: False when one is, else Unknown when one is, else True. Reason and messages are those of
 * the faulty parts; of all that do not hold where none is faulty.
 */
function parentOf(type: string, parts: readonly string[], conditions: Conditions): Condition {
  const present = parts.flatMap((part) => conditions.get(part) ?? []);
  const status = (["False", "Unknown"] as const).find((wanted) => present.some((part) => part.status === wanted));
  if (status === undefined) return { type, status: "True" };
  const failing = present.filter((part) => part.status === status);
  const faulty = failing.filter((part) => !isOnTheWay(part));
  const told = faulty.length > 0 ? faulty : failing;
  const messages = told.flatMap((part) => (part.message === undefined || part.message === "" ? [] : [part.message]));
  const message = [...new Set(messages)].join("; ");
  return fromMark(type, { status, reason: told[0]?.reason ?? "", message }, false);
}

function withoutTime(condition: Condition): Condition {
  const { lastTransitionTime: _time, ...rest } = condition;
  return rest;
}

const sameCondition = (left: Condition, right: Condition): boolean =>
  left.status === right.status &&
  left.reason === right.reason &&
  left.message === right.message &&
  left.severity === right.severity;

/** Parents are Unknown until a first pass has reached their parts. */
function parents(conditions: Map<string, Condition>, reached: boolean): void {
  for (const [type, parts] of [
    ["WorkloadsReady", WORKLOAD_CONDITIONS],
    ["RouterReady", ROUTER_CONDITIONS],
  ] as const) {
    const known = reached || parts.some((part) => conditions.has(part));
    conditions.set(
      type,
      known ? parentOf(type, parts, conditions) : (conditions.get(type) ?? { type, status: "Unknown" }),
    );
  }
  conditions.set("Ready", parentOf("Ready", DEPENDENTS, conditions));
}

/**
 * The complete list after a pass, sorted by type: earlier conditions changed by the marks, parents and Ready recomputed.
 * Unchanged ones keep their transition time, changed ones share `now` (RFC 3339). `reached` says whether the pass came as far
 * as the children; before that, parents of nothing are Unknown.
 */
export function settleConditions(
  previous: readonly Condition[],
  marks: Marks,
  options: { readonly now: string; readonly reached: boolean },
): readonly Condition[] {
  const before = new Map(previous.map((condition) => [condition.type, condition]));
  const conditions = new Map(before);
  for (const [type, mark] of Object.entries(marks)) {
    if (mark.status === "absent") conditions.delete(type);
    else conditions.set(type, fromMark(type, mark, type !== "PresetsCombined"));
  }
  parents(conditions, options.reached);
  return [...conditions.values()]
    .map((condition) => {
      const old = before.get(condition.type);
      const kept = old !== undefined && sameCondition(old, condition) ? old.lastTransitionTime : undefined;
      return { ...withoutTime(condition), lastTransitionTime: kept ?? options.now };
    })
    .sort((left, right) => (left.type < right.type ? -1 : 1));
}
