import type { KubeObject } from "../../kube/types.ts";
import { numberAt, recordAt } from "../fields.ts";

/** What a Deployment's pass looks at. */
export interface DeploymentInput {
  readonly deployment: KubeObject;
  /** The ReplicaSets that the Deployment controls. */
  readonly replicaSets: readonly KubeObject[];
  /** Pods that exist for each ReplicaSet uid, those being deleted included. */
  readonly podCounts: ReadonlyMap<string, number>;
  readonly nowMs: number;
}

/** Absolute numbers of `maxSurge` (rounded up) and `maxUnavailable` (rounded down); never both zero. */
export function rolloutLimits(deployment: KubeObject): { readonly surge: number; readonly unavailable: number } {
  const desired = numberAt(deployment, "spec", "replicas") ?? 1;
  const rolling = recordAt(deployment, "spec", "strategy", "rollingUpdate");
  const surge = resolvePercent(rolling?.["maxSurge"] ?? "25%", desired, Math.ceil);
  const unavailable = resolvePercent(rolling?.["maxUnavailable"] ?? "25%", desired, Math.floor);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : Math.min(unavailable, desired) };
}

function resolvePercent(value: unknown, total: number, round: (value: number) => number): number {
  if (typeof value === "number") return value;
  return round((Number.parseFloat(String(value)) * total) / 100);
}
