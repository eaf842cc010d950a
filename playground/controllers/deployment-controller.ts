import { type KubeClient, listAll } from "../../kube/client.ts";
import type { EventRecorder } from "../../kube/events.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, isAlreadyExists, isNotFound, parseKey } from "../../kube/types.ts";
import { numberAt, sameJson } from "../fields.ts";
import { type DeploymentPlan, REVISION, type ReplicaSetChange, planDeployment } from "./deployment.ts";
import { controllerOf, isControlledBy } from "./ownership.ts";

/** What the passes of the controllers need. */
export interface ControllerContext {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  /** Wall clock in ms. */
  readonly now: () => number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** Field manager of everything the playground's controllers write. */
export const FIELD_MANAGER = { fieldManager: "kube-controller-manager" } as const;

/** One pass over a Deployment; returns ms after which to look again. */
export async function reconcileDeployment(context: ControllerContext, key: string): Promise<number | undefined> {
  const { client } = context;
  const deployment = await client.find(KINDS.Deployment, parseKey(key));
  if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return undefined;
  const namespace = deployment.metadata.namespace;
  const all = await listAll(client, KINDS.ReplicaSet, { namespace });
  const replicaSets = all.items.filter((set) => isControlledBy(set, deployment));
  const podCounts = await countPods(client, namespace);
  const plan = planDeployment({ deployment, replicaSets, podCounts, nowMs: context.now() });
  await carryOut(context, deployment, plan, replicaSets);
  return plan.recheckAfterMs;
}

async function countPods(client: KubeClient, namespace: string | undefined): Promise<Map<string, number>> {
  const pods = await listAll(client, KINDS.Pod, { namespace });
  const counts = new Map<string, number>();
  for (const pod of pods.items) {
    const uid = controllerOf(pod)?.uid;
    if (uid !== undefined) counts.set(uid, (counts.get(uid) ?? 0) + 1);
  }
  return counts;
}

async function carryOut(
  context: ControllerContext,
  deployment: KubeObject,
  plan: DeploymentPlan,
  replicaSets: readonly KubeObject[],
): Promise<void> {
  const { client } = context;
  const key = { namespace: deployment.metadata.namespace, name: deployment.metadata.name };
  const { revision } = plan;
  if (revision !== undefined && deployment.metadata.annotations?.[REVISION] !== revision) {
    const body = { metadata: { annotations: { [REVISION]: revision } } };
    await client.patch(KINDS.Deployment, key, { type: "merge", body }, FIELD_MANAGER);
  }
  if (plan.create !== undefined) await createReplicaSet(context, deployment, plan.create);
  for (const change of plan.change) await changeReplicaSet(context, deployment, change, replicaSets);
  for (const name of plan.remove)
    await client.delete(KINDS.ReplicaSet, { ...key, name }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  if (!sameJson(deployment["status"], plan.status)) {
    const patch = { type: "merge", body: { status: plan.status } } as const;
    await client.patch(KINDS.Deployment, key, patch, { ...FIELD_MANAGER, subresource: "status" });
  }
}

async function createReplicaSet(context: ControllerContext, deployment: KubeObject, set: KubeObject): Promise<void> {
  try {
    await context.client.create(set, FIELD_MANAGER);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    await countCollision(context, deployment, set);
    throw error;
  }
  announce(context, deployment, set.metadata.name, 0, numberAt(set, "spec", "replicas") ?? 1);
}

/** A ReplicaSet of that name with another template: the next pass hashes with another salt. */
async function countCollision(context: ControllerContext, deployment: KubeObject, set: KubeObject): Promise<void> {
  const live = await context.client.find(KINDS.ReplicaSet, set.metadata);
  if (live === undefined || isControlledBy(live, deployment)) return;
  const collisionCount = (numberAt(deployment, "status", "collisionCount") ?? 0) + 1;
  const patch = { type: "merge", body: { status: { collisionCount } } } as const;
  await context.client.patch(KINDS.Deployment, deployment.metadata, patch, { subresource: "status" });
}

async function changeReplicaSet(
  context: ControllerContext,
  deployment: KubeObject,
  change: ReplicaSetChange,
  replicaSets: readonly KubeObject[],
): Promise<void> {
  const body = {
    ...(change.replicas === undefined ? {} : { spec: { replicas: change.replicas } }),
    ...(change.revision === undefined ? {} : { metadata: { annotations: { [REVISION]: change.revision } } }),
  };
  const key = { namespace: deployment.metadata.namespace, name: change.name };
  await context.client.patch(KINDS.ReplicaSet, key, { type: "merge", body }, FIELD_MANAGER);
  const before = replicaSets.find((set) => set.metadata.name === change.name);
  if (change.replicas !== undefined)
    announce(context, deployment, change.name, numberAt(before, "spec", "replicas") ?? 1, change.replicas);
}

function announce(context: ControllerContext, deployment: KubeObject, name: string, from: number, to: number): void {
  if (from === to) return;
  const message = `Scaled ${to > from ? "up" : "down"} replica set ${name} from ${from} to ${to}`;
  context.events.record(deployment, "Normal", "ScalingReplicaSet", message);
}
