import type { KubeObject } from "../../kube/types.ts";
import { type Fields, numberAt, randomSuffix, recordAt, textAt } from "../fields.ts";
import { controllerOf, controllerReference, isControlledBy } from "./ownership.ts";
import { isActive, readySinceMs } from "./pod-state.ts";
import { labelsOf, matchesSelector } from "./selector.ts";

/** What a ReplicaSet's pass looks at; `pods` are all pods of its namespace. */
export interface ReplicaSetInput {
  readonly replicaSet: KubeObject;
  readonly pods: readonly KubeObject[];
  readonly nowMs: number;
  /** Numbers in [0, 1) for pod names. */
  readonly random: () => number;
}

/** What a pass does. */
export interface ReplicaSetPlan {
  readonly create: readonly KubeObject[];
  readonly remove: readonly KubeObject[];
  /** Pods without a controller that the selector matches. */
  readonly adopt: readonly KubeObject[];
  /** Controlled pods that the selector matches no longer. */
  readonly release: readonly KubeObject[];
  readonly status: Fields;
  /** Look again after this time, because a ready pod becomes available then. */
  readonly recheckAfterMs: number | undefined;
}

/** Decides what brings the pods of a ReplicaSet to `spec.replicas` (apps/v1). */
export function planReplicaSet(input: ReplicaSetInput): ReplicaSetPlan {
  const { replicaSet, pods } = input;
  const selector = recordAt(replicaSet, "spec", "selector");
  const selected = (pod: KubeObject) => matchesSelector(selector, labelsOf(pod));
  const controlled = pods.filter((pod) => isControlledBy(pod, replicaSet));
  const deleting = replicaSet.metadata.deletionTimestamp !== undefined;
  const adopt = deleting ? [] : pods.filter((pod) => controllerOf(pod) === undefined && isActive(pod) && selected(pod));
  const active = [...controlled.filter((pod) => isActive(pod) && selected(pod)), ...adopt];
  const missing = (numberAt(replicaSet, "spec", "replicas") ?? 1) - active.length;
  const availability = countAvailable(replicaSet, active, input.nowMs);
  return {
    create: deleting ? [] : Array.from({ length: Math.max(0, missing) }, () => buildPod(replicaSet, input.random)),
    remove: deleting || missing >= 0 ? [] : [...active].sort(byDeletionRank).slice(0, -missing),
    adopt,
    release: controlled.filter((pod) => !selected(pod)),
    status: statusOf(replicaSet, active, availability.available),
    recheckAfterMs: availability.nextMs,
  };
}

function buildPod(replicaSet: KubeObject, random: () => number): KubeObject {
  const template = recordAt(replicaSet, "spec", "template") ?? {};
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...recordAt(template, "metadata"),
      name: `${replicaSet.metadata.name.slice(0, 247)}-${randomSuffix(random)}`,
      namespace: replicaSet.metadata.namespace,
      ownerReferences: [controllerReference(replicaSet)],
    },
    spec: template["spec"],
  };
}

function countAvailable(replicaSet: KubeObject, pods: readonly KubeObject[], nowMs: number) {
  const minReadyMs = (numberAt(replicaSet, "spec", "minReadySeconds") ?? 0) * 1000;
  let available = 0;
  let nextMs: number | undefined;
  for (const pod of pods) {
    const since = readySinceMs(pod);
    if (since === undefined) continue;
    const waitMs = since + minReadyMs - nowMs;
    if (minReadyMs === 0 || waitMs <= 0) available++;
    else nextMs = Math.min(nextMs ?? waitMs, waitMs);
  }
  return { available, nextMs };
}

function statusOf(replicaSet: KubeObject, pods: readonly KubeObject[], availableReplicas: number): Fields {
  return {
    replicas: pods.length,
    fullyLabeledReplicas: pods.length,
    readyReplicas: pods.filter((pod) => readySinceMs(pod) !== undefined).length,
    availableReplicas,
    observedGeneration: replicaSet.metadata.generation ?? 0,
  };
}

const PHASE_RANK: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** Which pods go first: unscheduled, then pending, then not ready, then those ready for the shortest time, then the youngest. */
function byDeletionRank(left: KubeObject, right: KubeObject): number {
  const rank = (pod: KubeObject): readonly number[] => [
    textAt(pod, "spec", "nodeName") === undefined ? 0 : 1,
    PHASE_RANK[textAt(pod, "status", "phase") ?? "Pending"] ?? 0,
    readySinceMs(pod) === undefined ? 0 : 1,
    -(readySinceMs(pod) ?? 0),
    -Date.parse(pod.metadata.creationTimestamp ?? ""),
  ];
  const rightRank = rank(right);
  for (const [index, value] of rank(left).entries()) {
    const difference = value - rightRank[index]!;
    if (difference !== 0 && !Number.isNaN(difference)) return difference;
  }
  return 0;
}
