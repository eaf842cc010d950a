import type { KubeObject } from "../../kube/types.ts";
import { recordsAt, textAt } from "../fields.ts";

/** Whether a pod counts for its owner: not being deleted and not finished. */
export function isActive(pod: KubeObject): boolean {
  return pod.metadata.deletionTimestamp === undefined && !isFinished(pod);
}

/** Whether all containers of a pod ended for good. */
export function isFinished(pod: KubeObject): boolean {
  const phase = textAt(pod, "status", "phase");
  return phase === "Succeeded" || phase === "Failed";
}

/** Since when (ms) the pod's Ready condition is True; undefined while it is not. */
export function readySinceMs(pod: KubeObject): number | undefined {
  const ready = recordsAt(pod, "status", "conditions").find((condition) => condition["type"] === "Ready");
  if (ready?.["status"] !== "True") return undefined;
  const since = Date.parse(textAt(ready, "lastTransitionTime") ?? "");
  return Number.isNaN(since) ? 0 : since;
}

/** Whether the pod's Ready condition is True. */
export function isReady(pod: KubeObject): boolean {
  return readySinceMs(pod) !== undefined;
}
