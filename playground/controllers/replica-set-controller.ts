import { listAll } from "../../kube/client.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, isNotFound, parseKey } from "../../kube/types.ts";
import { sameJson } from "../fields.ts";
import { type ControllerContext, FIELD_MANAGER } from "./deployment-controller.ts";
import { controllerReference } from "./ownership.ts";
import { planReplicaSet } from "./replica-set.ts";

/** One pass over a ReplicaSet; returns ms after which to look again. */
export async function reconcileReplicaSet(context: ControllerContext, key: string): Promise<number | undefined> {
  const { client, events, random } = context;
  const replicaSet = await client.find(KINDS.ReplicaSet, parseKey(key));
  if (replicaSet === undefined) return undefined;
  const { items: pods } = await listAll(client, KINDS.Pod, { namespace: replicaSet.metadata.namespace });
  const plan = planReplicaSet({ replicaSet, pods, nowMs: context.now(), random });
  for (const pod of plan.adopt) await setOwners(context, pod, [controllerReference(replicaSet)]);
  for (const pod of plan.release) {
    const others = pod.metadata.ownerReferences?.filter((owner) => owner.uid !== replicaSet.metadata.uid) ?? [];
    await setOwners(context, pod, others);
  }
  for (const pod of plan.create) {
    await client.create(pod, FIELD_MANAGER);
    events.record(replicaSet, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
  }
  for (const pod of plan.remove) {
    await client.delete(KINDS.Pod, pod.metadata, { uid: pod.metadata.uid }).catch(ignoreMissing);
    events.record(replicaSet, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
  }
  if (!sameJson(replicaSet["status"], plan.status)) {
    const patch = { type: "merge", body: { status: plan.status } } as const;
    await client.patch(KINDS.ReplicaSet, replicaSet.metadata, patch, { ...FIELD_MANAGER, subresource: "status" });
  }
  return plan.recheckAfterMs;
}

async function setOwners(
  context: ControllerContext,
  pod: KubeObject,
  ownerReferences: readonly unknown[],
): Promise<void> {
  const body = { metadata: { uid: pod.metadata.uid, ownerReferences } };
  await context.client.patch(KINDS.Pod, pod.metadata, { type: "merge", body }, FIELD_MANAGER);
}

/** For deletes: an object that is gone already is what was wanted. */
export function ignoreMissing(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
