import type { JsonObject } from "../../crds/schema/types.ts";
import { objectAt } from "../../crds/json.ts";
import { compact } from "../json-edit.ts";
import {
  type Condition,
  type Marks,
  isOnTheWay,
  notReady,
  parseConditions,
  settleConditions,
} from "../status/conditions.ts";
import { assembleStatus } from "../status/status.ts";
import { type ModelCollision, modelCollisions } from "../router/model-collisions.ts";
import { asJson } from "./pass.ts";
import type { LiveRef, PlanInput } from "./plan.ts";

/** An Event to publish on the service. */
export interface PlannedEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** How a pass ends. */
export interface Conclusion {
  /** The complete status. */
  readonly status: JsonObject;
  readonly events: readonly PlannedEvent[];
}

/** What a pass found out. */
export interface Findings {
  readonly marks: Marks;
  /** Parts of the status beyond conditions. */
  readonly found: JsonObject;
  /** Whether the pass came as far as the children. */
  readonly reached: boolean;
  /** Those of the marks that are failures of the pass itself. */
  readonly failures: Marks;
  /** Live objects that were deleted for successors. */
  readonly replaced?: readonly LiveRef[];
}

/** RFC 3339 in whole seconds, as conditions hold times. */
const timestamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

const warning = (reason: string, message: string): PlannedEvent => ({ type: "Warning", reason, message });

const PARENTS = new Set(["Ready", "WorkloadsReady", "RouterReady"]);

/**
 * Told once: failures of the pass under KServe's reason when they change in any way, causes found in children under their own
 * reason when that changes.
 */
function failureEvents(before: readonly Condition[], after: readonly Condition[], failures: Marks): PlannedEvent[] {
  return after.flatMap((now) => {
    if (now.status !== "False" || PARENTS.has(now.type)) return [];
    const old = before.find((condition) => condition.type === now.type);
    const text = now.message ?? now.reason ?? now.type;
    const sameReason = old?.status === "False" && old.reason === now.reason;
    if (Object.hasOwn(failures, now.type))
      return sameReason && old.message === now.message ? [] : [warning("Error", `Reconciliation failed: ${text}`)];
    return sameReason || isOnTheWay(now) ? [] : [warning(now.reason ?? now.type, text)];
  });
}

/** A routing group that falls apart is told when it does, and when its members change. */
function divergenceEvents(before: readonly Condition[], after: readonly Condition[]): readonly PlannedEvent[] {
  const [old, now] = [before, after].map((list) => list.find((condition) => condition.type === "GroupDegraded"));
  if (now?.status !== "True" || old?.message === now.message) return [];
  return [warning(now.reason ?? "MemberDivergence", now.message ?? "")];
}

function readinessEvents(name: string, before: readonly Condition[], after: readonly Condition[]): PlannedEvent[] {
  const [old, now] = [before, after].map((list) => list.find((condition) => condition.type === "Ready")?.status);
  if (now === "True" && old !== "True")
    return [{ type: "Normal", reason: "LLMInferenceServiceReady", message: `LLMInferenceService [${name}] is Ready` }];
  if (now !== "False" || old !== "True") return [];
  const failing = after.filter((condition) => condition.status === "False" && condition.type !== "Ready");
  const types = failing.map((condition) => condition.type).join(", ");
  return [
    warning("LLMInferenceServiceNotReady", `LLMInferenceService [${name}] is no longer Ready because of: ${types}`),
  ];
}

/** What is told once for each generation of the service, not in every pass: warnings of the composition, names in use. */
function generationEvents({ service, composition, cluster }: PlanInput): readonly PlannedEvent[] {
  const seen = objectAt(asJson(service), "status")?.["observedGeneration"];
  if (seen !== undefined && seen === service.metadata.generation) return [];
  const warnings = composition.warnings.map(({ reason, message }) => warning(reason, message));
  const routed = objectAt(asJson(service), "spec", "router", "route") !== undefined;
  return [...warnings, ...(routed ? modelCollisions(service, cluster).map(collisionEvent) : [])];
}

const collisionEvent = ({ model, services }: ModelCollision): PlannedEvent =>
  warning(
    "ModelNameCollision",
    `model "${model}" is served by ${services.slice(0, 5).join(", ")}${services.length > 5 ? ", …" : ""}, too: requests that name it alone reach either; change spec.model.name, or put them into one routing group (spec.router.route.group)`,
  );

function replacementEvents(replaced: readonly LiveRef[]): readonly PlannedEvent[] {
  return replaced.map(({ resource, key }) =>
    warning(
      "Recreated",
      `${resource.kind} ${key.namespace}/${key.name} is deleted and created anew: a field has to change that cannot`,
    ),
  );
}

/** Status and Events of a pass over the service, by what it found. Pure. */
export function conclude(input: PlanInput, findings: Findings): Conclusion {
  const { service, composition } = input;
  const previous = parseConditions(objectAt(asJson(service), "status")?.["conditions"]);
  const options = { now: timestamp(input.nowMs), reached: findings.reached };
  const conditions = settleConditions(previous, findings.marks, options);
  return {
    status: assembleStatus(
      {
        generation: service.metadata.generation,
        annotations: composition.statusAnnotations,
        appliedConfigs: composition.appliedConfigs,
        conditions,
      },
      findings.found,
    ),
    events: [
      ...generationEvents(input),
      ...replacementEvents(findings.replaced ?? []),
      ...failureEvents(previous, conditions, findings.failures),
      ...divergenceEvents(previous, conditions),
      ...readinessEvents(service.metadata.name, previous, conditions),
    ],
  };
}

/** The status of a deleted service that waits for other members of its routing group. `nowMs`: wall clock. */
export function finalizingStatus(status: JsonObject | undefined, routes: readonly string[], nowMs: number): JsonObject {
  const message = `deleted when these routes of its routing group send it no more requests: ${routes.join(", ")}`;
  const marks: Marks = { GroupReady: notReady("FinalizationPending", message) };
  const options = { now: timestamp(nowMs), reached: true };
  const conditions = settleConditions(parseConditions(status?.["conditions"]), marks, options);
  return { ...status, conditions: conditions.map((condition) => compact({ ...condition })) };
}
