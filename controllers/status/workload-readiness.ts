import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, textAt } from "../../crds/json.ts";
import { integerOf } from "../json-edit.ts";
import { COMPONENTS, COMPONENT_LABEL, SCHEDULER_POD_COMPONENT, baseLabels } from "../labels.ts";
import { type Pass, asJson, ownedChild } from "../llminferenceservice/pass.ts";
import { runsScheduler } from "../router/pool-reference.ts";
import { runsTokenizer } from "../scheduler/tokenizer-address.ts";
import { isMultiNode, workloadPart } from "../workload/parts.ts";
import { ABSENT, type Mark, type Marks, TRUE, conditionOf, notReady } from "./conditions.ts";
import { explain } from "./faults.ts";
import { type PodCause, podCause } from "./pod-causes.ts";
import { type Refusal, podsRefused } from "./refusals.ts";

const ROLLING = "Deployment rollout in progress";

/** Whether the workload controller has seen the object's last change; until then its status speaks of the one before. */
function isObserved(live: JsonObject): boolean {
  const observed = integerOf(at(live, "status", "observedGeneration"));
  const generation = integerOf(at(live, "metadata", "generation"));
  return observed === undefined || generation === undefined || observed >= generation;
}

function stalled(conditions: Json | undefined): Mark | undefined {
  const progressing = conditionOf(conditions, "Progressing");
  return progressing?.status === "False" && progressing.reason === "ProgressDeadlineExceeded"
    ? notReady(progressing.reason, explain("rollout-stalled", (progressing.message ?? "").replace(/\.$/, "")))
    : undefined;
}

function available(conditions: Json | undefined): Mark {
  const condition = conditionOf(conditions, "Available");
  if (condition === undefined) return notReady("Progressing", ROLLING);
  return condition.status === "True" ? TRUE : notReady(condition.reason ?? "Progressing", condition.message ?? "");
}

/** Readiness of a Deployment of model servers: a rollout that failed counts, even while old pods still serve. */
export function deploymentReadiness(live: JsonObject | undefined): Mark {
  if (live === undefined || !isObserved(live)) return notReady("Progressing", ROLLING);
  const conditions = at(live, "status", "conditions");
  return stalled(conditions) ?? available(conditions);
}

/** Readiness of a scheduler: one available replica is enough, since standbys are unavailable on purpose. */
export function schedulerReadiness(live: JsonObject | undefined): Mark {
  if (live === undefined || !isObserved(live)) return notReady("Progressing", ROLLING);
  if ((integerOf(at(live, "status", "availableReplicas")) ?? 0) > 0) return TRUE;
  return deploymentReadiness(live);
}

/** Readiness of a LeaderWorkerSet. */
export function groupReadiness(live: JsonObject | undefined): Mark {
  const condition = conditionOf(at(live, "status", "conditions"), "Available");
  if (condition === undefined) return notReady("Progressing", "LWS is progressing");
  return condition.status === "True" ? TRUE : notReady(condition.reason ?? "Progressing", condition.message ?? "");
}

/** Pods of a part, those first whose fate decides: not yet failed ones, the newest, then by name. */
function podsOf(pass: Pass, components: readonly string[]): readonly KubeObject[] {
  const failed = (pod: KubeObject): number => (textAt(asJson(pod), "status", "phase") === "Failed" ? 1 : 0);
  const created = (pod: KubeObject): string => pod.metadata.creationTimestamp ?? "";
  return pass.cluster
    .list(KINDS.Pod, pass.namespace, baseLabels(pass.name))
    .filter((pod) => components.includes(pod.metadata.labels?.[COMPONENT_LABEL] ?? ""))
    .sort((a, b) => failed(a) - failed(b) || (created(a) < created(b) ? 1 : created(a) > created(b) ? -1 : 0));
}

/** Why the pods of a part do not serve: refused at their creation, or what the first of them says. */
function causeOf(
  pass: Pass,
  components: readonly string[],
  live: JsonObject | undefined,
): PodCause | Refusal | undefined {
  const failure = conditionOf(at(live, "status", "conditions"), "ReplicaFailure");
  if (failure?.status === "True") return podsRefused(failure.message ?? "");
  for (const pod of podsOf(pass, components)) {
    const found = podCause(asJson(pod) ?? {}, pass.cluster.podWarnings?.(pod) ?? []);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The mark with the cause in its pods, where it is False and they tell one. */
function explained(pass: Pass, components: readonly string[], live: JsonObject | undefined, mark: Mark): Mark {
  if (mark.status !== "False") return mark;
  const found = causeOf(pass, components, live);
  return found === undefined ? mark : notReady(found.reason, found.message);
}

function partMarks(pass: Pass, name: "main" | "prefill"): readonly [single: Mark, group: Mark] {
  const part = workloadPart(pass, name);
  if (part === undefined) return [ABSENT, ABSENT];
  const { single, worker, leader } = part.components;
  if (isMultiNode(part)) {
    const live = ownedChild(pass, KINDS.LeaderWorkerSet, part.leaderWorkerSet);
    return [ABSENT, explained(pass, [leader, worker], live, groupReadiness(live))];
  }
  const live = ownedChild(pass, KINDS.Deployment, part.deployment);
  return [explained(pass, [single], live, deploymentReadiness(live)), ABSENT];
}

function schedulerMark(pass: Pass): Mark {
  if (!runsScheduler(pass)) return ABSENT;
  const live = ownedChild(pass, KINDS.Deployment, pass.names.scheduler);
  return explained(pass, [SCHEDULER_POD_COMPONENT, COMPONENTS.scheduler], live, schedulerReadiness(live));
}

function tokenizerMark(pass: Pass): Mark {
  if (!runsTokenizer(pass)) return ABSENT;
  const live = ownedChild(pass, KINDS.Deployment, pass.names.tokenizer);
  return explained(pass, [COMPONENTS.tokenizer], live, schedulerReadiness(live));
}

/** Readiness of all workloads of a service, the scheduler included, with the causes that their pods tell. */
export function workloadMarks(pass: Pass): Marks {
  const [main, worker] = partMarks(pass, "main");
  const [prefill, prefillWorker] = partMarks(pass, "prefill");
  return {
    MainWorkloadReady: main,
    WorkerWorkloadReady: worker,
    PrefillWorkloadReady: prefill,
    PrefillWorkerWorkloadReady: prefillWorker,
    SchedulerWorkloadReady: schedulerMark(pass),
    TokenizerReady: tokenizerMark(pass),
  };
}
