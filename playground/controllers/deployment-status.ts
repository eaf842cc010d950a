import type { KubeObject } from "../../kube/types.ts";
import { timestamp } from "../conditions.ts";
import { type Fields, numberAt, recordsAt, textAt } from "../fields.ts";
import { type DeploymentInput, rolloutLimits } from "./rollout.ts";

/** What the status follows from. */
export interface StatusInput extends DeploymentInput {
  /** ReplicaSet of the present pod template, if it exists. */
  readonly current: KubeObject | undefined;
  /** Whether this pass creates it. */
  readonly creates: boolean;
}

interface Counts {
  readonly replicas: number;
  readonly updatedReplicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

const total = (sets: readonly KubeObject[], name: keyof Counts): number =>
  sets.reduce((sum, set) => sum + (numberAt(set, "status", name) ?? 0), 0);

/** The Deployment's status after a pass, and when the progress deadline needs another look (apps/v1). */
export function deploymentStatus(input: StatusInput): { status: Fields; recheckAfterMs: number | undefined } {
  const { deployment, replicaSets, current } = input;
  const counts: Counts = {
    replicas: total(replicaSets, "replicas"),
    updatedReplicas: current === undefined ? 0 : (numberAt(current, "status", "replicas") ?? 0),
    readyReplicas: total(replicaSets, "readyReplicas"),
    availableReplicas: total(replicaSets, "availableReplicas"),
  };
  const progress = progressCondition(input, counts);
  const desired = numberAt(deployment, "spec", "replicas") ?? 1;
  const collisions = numberAt(deployment, "status", "collisionCount");
  return {
    status: {
      observedGeneration: deployment.metadata.generation ?? 0,
      ...counts,
      unavailableReplicas: Math.max(0, Math.max(desired, counts.replicas) - counts.availableReplicas),
      ...(collisions === undefined ? {} : { collisionCount: collisions }),
      conditions: [
        stamp(deployment, availableCondition(deployment, desired, counts), input.nowMs, false),
        stamp(deployment, progress.condition, input.nowMs, progress.moved),
      ],
    },
    recheckAfterMs: progress.recheckAfterMs,
  };
}

function previous(deployment: KubeObject, type: string): Fields | undefined {
  return recordsAt(deployment, "status", "conditions").find((condition) => condition["type"] === type);
}

/** Times of a condition: `lastUpdateTime` moves with any change and with progress, `lastTransitionTime` with the status. */
function stamp(deployment: KubeObject, condition: Condition, nowMs: number, moved: boolean): Fields {
  const before = previous(deployment, condition.type);
  const now = timestamp(nowMs);
  const sameStatus = before?.["status"] === condition.status;
  const same = sameStatus && before?.["reason"] === condition.reason && !moved;
  return {
    ...condition,
    lastUpdateTime: (same ? before?.["lastUpdateTime"] : undefined) ?? now,
    lastTransitionTime: (sameStatus ? before?.["lastTransitionTime"] : undefined) ?? now,
  };
}

function availableCondition(deployment: KubeObject, desired: number, counts: Counts): Condition {
  const recreate = textAt(deployment, "spec", "strategy", "type") === "Recreate";
  const needed = desired - (recreate ? 0 : rolloutLimits(deployment).unavailable);
  return counts.availableReplicas >= needed
    ? {
        type: "Available",
        status: "True",
        reason: "MinimumReplicasAvailable",
        message: "Deployment has minimum availability.",
      }
    : {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
}

interface Progress {
  readonly condition: Condition;
  /** Whether the rollout advanced since the last status. */
  readonly moved: boolean;
  readonly recheckAfterMs: number | undefined;
}

function progressCondition(input: StatusInput, counts: Counts): Progress {
  const { deployment, current } = input;
  const name = current?.metadata.name ?? deployment.metadata.name;
  const make = (status: string, reason: string, message: string): Condition => ({
    type: "Progressing",
    status,
    reason,
    message,
  });
  if (input.creates)
    return settled(
      make("True", "NewReplicaSetCreated", `Created new replica set of ${deployment.metadata.name}`),
      true,
    );
  if (isComplete(deployment, counts))
    return settled(make("True", "NewReplicaSetAvailable", `ReplicaSet "${name}" has successfully progressed.`), false);
  const moved = hasMoved(deployment, counts);
  const deadlineMs = (numberAt(deployment, "spec", "progressDeadlineSeconds") ?? 600) * 1000;
  const before = previous(deployment, "Progressing");
  const waited = input.nowMs - Date.parse(textAt(before, "lastUpdateTime") ?? timestamp(input.nowMs));
  const rollsOut = before !== undefined && before["reason"] !== "NewReplicaSetAvailable";
  const exceeded = before?.["reason"] === "ProgressDeadlineExceeded";
  if (!moved && rollsOut && (exceeded || waited >= deadlineMs))
    return settled(make("False", "ProgressDeadlineExceeded", `ReplicaSet "${name}" has timed out progressing.`), false);
  const condition = make("True", "ReplicaSetUpdated", `ReplicaSet "${name}" is progressing.`);
  return { condition, moved, recheckAfterMs: Math.max(1000, deadlineMs - (moved || !rollsOut ? 0 : waited)) };
}

const settled = (condition: Condition, moved: boolean): Progress => ({ condition, moved, recheckAfterMs: undefined });

function isComplete(deployment: KubeObject, counts: Counts): boolean {
  const desired = numberAt(deployment, "spec", "replicas") ?? 1;
  return counts.updatedReplicas === desired && counts.replicas === desired && counts.availableReplicas === desired;
}

function hasMoved(deployment: KubeObject, counts: Counts): boolean {
  const before = (name: keyof Counts) => numberAt(deployment, "status", name) ?? 0;
  const oldBefore = before("replicas") - before("updatedReplicas");
  return (
    counts.updatedReplicas > before("updatedReplicas") ||
    counts.replicas - counts.updatedReplicas < oldBefore ||
    counts.readyReplicas > before("readyReplicas") ||
    counts.availableReplicas > before("availableReplicas")
  );
}
