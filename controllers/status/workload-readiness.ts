import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { at } from "../composition/json.ts";
import { integerOf } from "../json-edit.ts";
import { type Pass, ownedChild } from "../llminferenceservice/pass.ts";
import { runsScheduler } from "../router/pool-reference.ts";
import { runsTokenizer } from "../scheduler/tokenizer-address.ts";
import { isMultiNode, workloadPart } from "../workload/parts.ts";
import { ABSENT, type Mark, type Marks, TRUE, conditionOf, notReady } from "./conditions.ts";

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
    ? notReady(progressing.reason, progressing.message ?? "")
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

function partMarks(pass: Pass, name: "main" | "prefill"): readonly [single: Mark, group: Mark] {
  const part = workloadPart(pass, name);
  if (part === undefined) return [ABSENT, ABSENT];
  return isMultiNode(part)
    ? [ABSENT, groupReadiness(ownedChild(pass, KINDS.LeaderWorkerSet, part.leaderWorkerSet))]
    : [deploymentReadiness(ownedChild(pass, KINDS.Deployment, part.deployment)), ABSENT];
}

/** Readiness of all workloads of a service, the scheduler included. */
export function workloadMarks(pass: Pass): Marks {
  const [main, worker] = partMarks(pass, "main");
  const [prefill, prefillWorker] = partMarks(pass, "prefill");
  const scheduler = runsScheduler(pass)
    ? schedulerReadiness(ownedChild(pass, KINDS.Deployment, pass.names.scheduler))
    : ABSENT;
  return {
    MainWorkloadReady: main,
    WorkerWorkloadReady: worker,
    PrefillWorkloadReady: prefill,
    PrefillWorkerWorkloadReady: prefillWorker,
    SchedulerWorkloadReady: scheduler,
    TokenizerReady: runsTokenizer(pass)
      ? schedulerReadiness(ownedChild(pass, KINDS.Deployment, pass.names.tokenizer))
      : ABSENT,
  };
}
