import { at, textAt } from "../../crds/json.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { integerOf } from "../json-edit.ts";
import type { Mark } from "../status/conditions.ts";
import { FAULTS } from "../status/faults.ts";
import { workloadMarks } from "../status/workload-readiness.ts";
import { type PartName, isMultiNode, replicasOf, workloadPart } from "../workload/parts.ts";
import { type Pass, ownedChild } from "./pass.ts";

/** Longest time for which old model servers stay beside new ones that do not get ready: large models load for long. */
const LONGEST_OVERLAP_MS = 1_800_000;

const CONDITIONS = {
  main: { single: "MainWorkloadReady", group: "WorkerWorkloadReady" },
  prefill: { single: "PrefillWorkloadReady", group: "PrefillWorkerWorkloadReady" },
} as const;

/** Why new pods are not there: they wait for what the old ones hold, which then have to make room. */
const WANT_ROOM: readonly string[] = [...FAULTS["resource-short"].reasons, ...FAULTS["quota-exceeded"].reasons];

/** Model servers that stay although the spec no longer has them. */
export interface Retained {
  readonly resource: Resource;
  readonly name: string;
  /** Time after which they go in any case. */
  readonly leftMs: number;
}

const serves = (live: JsonObject | undefined): boolean =>
  (integerOf(at(live, "status", "availableReplicas")) ?? integerOf(at(live, "status", "readyReplicas")) ?? 0) > 0;

const isOver = (mark: Mark | undefined): boolean =>
  mark?.status === "True" || (mark?.status === "False" && WANT_ROOM.includes(mark.reason));

function leftMs(pass: Pass, successor: JsonObject | undefined): number {
  const created = Date.parse(textAt(successor, "metadata", "creationTimestamp") ?? "");
  return Number.isNaN(created) ? LONGEST_OVERLAP_MS : created + LONGEST_OVERLAP_MS - pass.nowMs;
}

function retainedOf(pass: Pass, name: PartName): readonly Retained[] {
  const part = workloadPart(pass, name);
  if (part === undefined || replicasOf(part.spec) === 0) return [];
  const single = { resource: KINDS.Deployment, name: part.deployment };
  const group = { resource: KINDS.LeaderWorkerSet, name: part.leaderWorkerSet };
  const [old, successor] = isMultiNode(part) ? [single, group] : [group, single];
  if (!serves(ownedChild(pass, old.resource, old.name))) return [];
  const condition = CONDITIONS[name][isMultiNode(part) ? "group" : "single"];
  const left = leftMs(pass, ownedChild(pass, successor.resource, successor.name));
  return left <= 0 || isOver(workloadMarks(pass)[condition]) ? [] : [{ ...old, leftMs: left }];
}

/**
 * Old model servers that stay until new ones of the other kind, single pods or groups, serve: the pool and the Service select
 * the pods of both, so that a switch costs no request. They go at once where the new ones lack room or serve nobody.
 */
export function retainedServers(pass: Pass): readonly Retained[] {
  return [...retainedOf(pass, "main"), ...retainedOf(pass, "prefill")];
}
