import type { JsonObject } from "../../crds/schema/types.ts";
import type { ServedKind } from "./kinds.ts";
import { at, ensureMeta, finalizersOf, isObject, listOf, metaOf, textOf, timestamp } from "./objects.ts";

/** Body of a DELETE (DeleteOptions of meta/v1). */
export interface DeleteMode {
  readonly dryRun: boolean;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly gracePeriodSeconds: number | undefined;
  readonly propagationPolicy: string | undefined;
  readonly warnings: string[];
}

/** Whether a namespace still waits for its contents to go. */
export function holdsNamespace(kind: ServedKind, object: JsonObject): boolean {
  return kind.storage === "/namespaces" && listOf(at(object, "spec", "finalizers")).length > 0;
}

/** Whether a pod's node may still end it. */
export function waitsForPod(kind: ServedKind, object: JsonObject): boolean {
  return kind.storage === "/pods" && Number(metaOf(object)["deletionGracePeriodSeconds"] ?? 0) > 0;
}

/** Whether a deletion is told as an update first, even where no time is asked for. */
export const isGraceful = (kind: ServedKind): boolean => kind.storage === "/pods";

/** The object marked for deletion; undefined when it can go at once. */
export function markDeleted(
  kind: ServedKind,
  stored: JsonObject,
  mode: DeleteMode,
  nowMs: number,
): JsonObject | undefined {
  const next = structuredClone(stored);
  const meta = ensureMeta(next);
  const finalizers = propagationFinalizers(finalizersOf(next), mode.propagationPolicy);
  const grace = graceSeconds(kind, stored, mode);
  const holds = holdsNamespace(kind, stored);
  if (finalizers.length === 0 && grace === 0 && !holds && !isGraceful(kind)) return undefined;
  if (finalizers.length > 0) meta["finalizers"] = finalizers;
  else delete meta["finalizers"];
  const before = meta["deletionGracePeriodSeconds"];
  if (before === undefined && meta["generation"] !== undefined) meta["generation"] = Number(meta["generation"]) + 1;
  if (before === undefined || grace < Number(before)) {
    meta["deletionTimestamp"] = timestamp(nowMs + grace * 1000);
    meta["deletionGracePeriodSeconds"] = grace;
  }
  if (holds && isObject(next["status"])) next["status"] = { ...next["status"], phase: "Terminating" };
  return next;
}

/** Garbage collection works by two finalizers, which the collector removes when it is done with the dependents. */
function propagationFinalizers(finalizers: readonly string[], policy: string | undefined): string[] {
  const rest = finalizers.filter(
    (item) => policy === undefined || (item !== "orphan" && item !== "foregroundDeletion"),
  );
  if (policy === "Foreground") return [...rest, "foregroundDeletion"];
  return policy === "Orphan" ? [...rest, "orphan"] : rest;
}

/** Only pods on a node get time to end. */
function graceSeconds(kind: ServedKind, stored: JsonObject, mode: DeleteMode): number {
  if (kind.storage !== "/pods" || textOf(at(stored, "spec", "nodeName")) === "") return 0;
  const phase = at(stored, "status", "phase");
  if (phase === "Succeeded" || phase === "Failed") return 0;
  return Math.max(0, mode.gracePeriodSeconds ?? Number(at(stored, "spec", "terminationGracePeriodSeconds") ?? 30));
}
