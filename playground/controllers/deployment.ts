import type { KubeObject } from "../../kube/types.ts";
import { type Fields, canonicalJson, numberAt, recordAt, safeHash, textAt, textMapAt } from "../fields.ts";
import { controllerReference } from "./ownership.ts";
import { type DeploymentInput, rolloutLimits } from "./rollout.ts";
import { deploymentStatus } from "./deployment-status.ts";

/** Label that tells the pods of one revision from those of another (apps/v1). */
export const POD_TEMPLATE_HASH = "pod-template-hash";

/** Annotation with the number of a rollout, on the Deployment and on its ReplicaSets. */
export const REVISION = "deployment.kubernetes.io/revision";

/** A ReplicaSet to be changed, by name. */
export interface ReplicaSetChange {
  readonly name: string;
  readonly replicas?: number;
  readonly revision?: string;
}

/** What a pass does. */
export interface DeploymentPlan {
  readonly create: KubeObject | undefined;
  readonly change: readonly ReplicaSetChange[];
  readonly remove: readonly string[];
  /** Revision to record on the Deployment; undefined while there is no current ReplicaSet. */
  readonly revision: string | undefined;
  readonly status: Fields;
  /** Look again after this time: the progress deadline. */
  readonly recheckAfterMs: number | undefined;
}

/** Replicas that each ReplicaSet is to have. */
type Scales = ReadonlyMap<KubeObject, number>;

/** Decides the next step of a Deployment: rollout by `RollingUpdate` or `Recreate`, scaling, clean-up, status (apps/v1). */
export function planDeployment(input: DeploymentInput): DeploymentPlan {
  const { deployment, replicaSets } = input;
  const current = findCurrent(deployment, replicaSets);
  const old = replicaSets.filter((replicaSet) => replicaSet !== current);
  const paused = recordAt(deployment, "spec")?.["paused"] === true;
  const creates = current === undefined && !paused && mayCreate(input, old);
  const scales = paused ? pausedScales(deployment, current, old) : scaleAll(input, current, old);
  const revision = current === undefined && !creates ? undefined : String(nextRevision(current, old));
  const { status, recheckAfterMs } = deploymentStatus({ ...input, current, creates });
  return {
    create: creates ? buildReplicaSet(input, old, revision ?? "1") : undefined,
    change: changes(scales, current, revision),
    remove: current === undefined || paused ? [] : expired(deployment, old),
    revision,
    status,
    recheckAfterMs,
  };
}

/** The pod template without the hash label: what makes two ReplicaSets the same revision. */
function templateText(object: KubeObject): string {
  const template = recordAt(object, "spec", "template") ?? {};
  const { [POD_TEMPLATE_HASH]: _hash, ...labels } = textMapAt(template, "metadata", "labels");
  const { creationTimestamp: _time, ...metadata } = recordAt(template, "metadata") ?? {};
  return canonicalJson({ ...template, metadata: { ...metadata, labels } });
}

function findCurrent(deployment: KubeObject, replicaSets: readonly KubeObject[]): KubeObject | undefined {
  const wanted = templateText(deployment);
  return [...replicaSets].sort(byAge).find((replicaSet) => templateText(replicaSet) === wanted);
}

function byAge(left: KubeObject, right: KubeObject): number {
  return (left.metadata.creationTimestamp ?? "").localeCompare(right.metadata.creationTimestamp ?? "");
}

const replicasOf = (object: KubeObject): number => numberAt(object, "spec", "replicas") ?? 1;
const availableOf = (object: KubeObject): number => numberAt(object, "status", "availableReplicas") ?? 0;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function recreates(deployment: KubeObject): boolean {
  return textAt(deployment, "spec", "strategy", "type") === "Recreate";
}

/** With `Recreate` no pod of an old revision may be left, not even one that is ending. */
function mayCreate(input: DeploymentInput, old: readonly KubeObject[]): boolean {
  if (!recreates(input.deployment)) return true;
  return old.every((set) => replicasOf(set) === 0 && (input.podCounts.get(set.metadata.uid ?? "") ?? 0) === 0);
}

function nextRevision(current: KubeObject | undefined, old: readonly KubeObject[]): number {
  const revisionOf = (set: KubeObject) => Number(set.metadata.annotations?.[REVISION] ?? 0);
  const highest = Math.max(0, ...old.map(revisionOf));
  return current === undefined ? highest + 1 : Math.max(revisionOf(current), highest + 1);
}

function buildReplicaSet(input: DeploymentInput, old: readonly KubeObject[], revision: string): KubeObject {
  const { deployment } = input;
  const collisions = numberAt(deployment, "status", "collisionCount") ?? 0;
  const hash = safeHash(`${templateText(deployment)}${collisions === 0 ? "" : collisions}`);
  const template = recordAt(deployment, "spec", "template") ?? {};
  const labels = { ...textMapAt(template, "metadata", "labels"), [POD_TEMPLATE_HASH]: hash };
  const selector = recordAt(deployment, "spec", "selector") ?? {};
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace,
      labels,
      annotations: { [REVISION]: revision },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: initialReplicas(deployment, old),
      minReadySeconds: numberAt(deployment, "spec", "minReadySeconds") ?? 0,
      selector: {
        ...selector,
        matchLabels: { ...textMapAt(selector, "matchLabels"), [POD_TEMPLATE_HASH]: hash },
      },
      template: { ...template, metadata: { ...recordAt(template, "metadata"), labels } },
    },
  };
}

function initialReplicas(deployment: KubeObject, old: readonly KubeObject[]): number {
  const desired = replicasOf(deployment);
  if (recreates(deployment)) return desired;
  const room = desired + rolloutLimits(deployment).surge - sum(old.map(replicasOf));
  return Math.max(0, Math.min(desired, room));
}

function pausedScales(deployment: KubeObject, current: KubeObject | undefined, old: readonly KubeObject[]): Scales {
  const latest = current ?? [...old].sort(byAge).at(-1);
  return latest === undefined ? new Map() : new Map([[latest, replicasOf(deployment)]]);
}

function scaleAll(input: DeploymentInput, current: KubeObject | undefined, old: readonly KubeObject[]): Scales {
  if (recreates(input.deployment)) {
    const zero = old.map((set) => [set, 0] as const);
    return new Map(
      current === undefined || !mayCreate(input, old) ? zero : [...zero, [current, replicasOf(input.deployment)]],
    );
  }
  if (current === undefined) return new Map();
  const grown = growCurrent(input.deployment, current, old);
  return new Map([[current, grown], ...shrinkOld(input.deployment, current, grown, old)]);
}

function growCurrent(deployment: KubeObject, current: KubeObject, old: readonly KubeObject[]): number {
  const desired = replicasOf(deployment);
  const others = sum(old.map(replicasOf));
  const now = replicasOf(current);
  if (others === 0 || now >= desired) return desired;
  const room = desired + rolloutLimits(deployment).surge - others - now;
  return Math.min(desired, now + Math.max(0, room));
}

/** Old replicas that go now: first those that are unavailable anyway, then as many as `maxUnavailable` leaves room for. */
function shrinkOld(
  deployment: KubeObject,
  current: KubeObject,
  grown: number,
  old: readonly KubeObject[],
): (readonly [KubeObject, number])[] {
  const minAvailable = replicasOf(deployment) - rolloutLimits(deployment).unavailable;
  const targets = new Map([...old].sort(byAge).map((set) => [set, replicasOf(set)]));
  const total = grown + sum([...targets.values()]);
  let room = total - minAvailable - Math.max(0, grown - availableOf(current));
  const take = (set: KubeObject, most: number) => {
    const count = Math.max(0, Math.min(most, room, targets.get(set)!));
    targets.set(set, targets.get(set)! - count);
    room -= count;
  };
  for (const set of targets.keys()) take(set, replicasOf(set) - availableOf(set));
  const available = availableOf(current) + sum([...targets].map(([set, left]) => Math.min(left, availableOf(set))));
  room = Math.min(room, available - minAvailable);
  for (const set of targets.keys()) take(set, targets.get(set)!);
  return [...targets];
}

function changes(scales: Scales, current: KubeObject | undefined, revision: string | undefined): ReplicaSetChange[] {
  const names = new Map<string, ReplicaSetChange>();
  for (const [set, replicas] of scales)
    if (replicasOf(set) !== replicas) names.set(set.metadata.name, { name: set.metadata.name, replicas });
  if (current !== undefined && revision !== undefined && current.metadata.annotations?.[REVISION] !== revision)
    names.set(current.metadata.name, {
      ...(names.get(current.metadata.name) ?? { name: current.metadata.name }),
      revision,
    });
  return [...names.values()];
}

/** Names of empty old ReplicaSets beyond `revisionHistoryLimit`, oldest first. */
function expired(deployment: KubeObject, old: readonly KubeObject[]): string[] {
  const limit = numberAt(deployment, "spec", "revisionHistoryLimit") ?? 10;
  const empty = old.filter((set) => replicasOf(set) === 0 && (numberAt(set, "status", "replicas") ?? 0) === 0);
  return [...empty]
    .sort(byAge)
    .slice(0, Math.max(0, empty.length - limit))
    .map((set) => set.metadata.name);
}
