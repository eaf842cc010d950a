import type { KubeClient } from "../../kube/client.ts";
import { KINDS, type Resource, findResource, gvkText } from "../../kube/resources.ts";
import { type KubeObject, type OwnerReference, isConflict, keyOf } from "../../kube/types.ts";
import type { Logger } from "../../telemetry/log.ts";
import { field, recordsAt, textAt } from "../fields.ts";
import { type KeyedWorker, createKeyedWorker } from "../keyed-worker.ts";
import { type Mirror, mirrorObjects } from "../mirror.ts";
import {
  FOREGROUND,
  ORPHAN,
  type OwnerState,
  collectionOf,
  hasFinalizer,
  waitsForDependents,
} from "./garbage-decision.ts";
import { ignoreMissing } from "./replica-set-controller.ts";

/** Built-in kinds whose objects own or are owned. */
const CORE: readonly Resource[] = [
  KINDS.Pod,
  KINDS.Service,
  KINDS.ConfigMap,
  KINDS.Secret,
  KINDS.ServiceAccount,
  KINDS.PersistentVolumeClaim,
  KINDS.Deployment,
  KINDS.ReplicaSet,
  KINDS.StatefulSet,
  KINDS.Role,
  KINDS.RoleBinding,
  KINDS.ClusterRole,
  KINDS.ClusterRoleBinding,
  KINDS.EndpointSlice,
  KINDS.HorizontalPodAutoscaler,
  KINDS.PodDisruptionBudget,
  KINDS.NetworkPolicy,
];

/** A running collector. */
export interface GarbageCollector {
  close(): Promise<void>;
}

/**
 * Deletes objects whose owners are gone, and carries out foreground and orphan deletion, for built-in kinds and for every
 * established custom resource. Source: Kubernetes garbage collection.
 */
export async function startGarbageCollector(client: KubeClient, logger: Logger): Promise<GarbageCollector> {
  const mirrors = new Map<string, Mirror>();
  const dependents = new Map<string, Map<string, KubeObject>>();
  const worker: KeyedWorker = createKeyedWorker("garbage-collector", (key) => collect(key), logger);
  const resources = new Map<string, Resource>();

  const index = (object: KubeObject, present: boolean): void => {
    for (const owner of object.metadata.ownerReferences ?? []) {
      const owned = dependents.get(owner.uid) ?? new Map<string, KubeObject>();
      if (present) owned.set(object.metadata.uid ?? "", object);
      else owned.delete(object.metadata.uid ?? "");
      if (owned.size === 0) dependents.delete(owner.uid);
      else dependents.set(owner.uid, owned);
    }
  };
  const keyFor = (object: KubeObject): string => `${gvkText(object)}|${keyOf(object.metadata)}`;
  const wake = (object: KubeObject): void => {
    if (object.metadata.ownerReferences?.length) worker.add(keyFor(object));
    if (object.metadata.finalizers?.length && object.metadata.deletionTimestamp !== undefined)
      worker.add(keyFor(object));
  };
  const follow = (resource: Resource): void => {
    const name = gvkText(resource);
    if (mirrors.has(name)) return;
    resources.set(name, resource);
    const onChange = ({ object, previous }: { object: KubeObject | undefined; previous: KubeObject | undefined }) => {
      if (previous !== undefined) index(typed(previous, resource), false);
      if (object !== undefined) index(typed(object, resource), true);
      if (object !== undefined) {
        const kept = new Set(object.metadata.ownerReferences?.map(({ uid }) => uid));
        const lost = previous?.metadata.ownerReferences?.filter(({ uid }) => !kept.has(uid)) ?? [];
        for (const owner of lost) wakeOwner(owner, object);
        return wake(typed(object, resource));
      }
      if (previous === undefined) return;
      for (const dependent of dependents.get(previous.metadata.uid ?? "")?.values() ?? []) wake(dependent);
      for (const owner of previous.metadata.ownerReferences ?? []) wakeOwner(owner, previous);
    };
    mirrors.set(name, mirrorObjects(client, resource, { logger, onChange, metadataOnly: true }));
  };
  const wakeOwner = (owner: OwnerReference, child: KubeObject): void => {
    const resource = resourceFor(owner);
    if (resource === undefined) return;
    const namespace = resource.namespaced ? child.metadata.namespace : undefined;
    worker.add(`${gvkText(resource)}|${keyOf({ namespace, name: owner.name })}`);
  };
  const resourceFor = (owner: OwnerReference): Resource | undefined =>
    resources.get(gvkText(owner)) ??
    [...resources.values()].find(
      (resource) =>
        resource.kind === owner.kind && resource.apiVersion.split("/")[0] === owner.apiVersion.split("/")[0],
    ) ??
    findResource(owner);

  const stateOf = async (owner: OwnerReference, child: KubeObject): Promise<OwnerState> => {
    const resource = resourceFor(owner);
    if (resource === undefined) return "solid";
    const namespace = resource.namespaced ? child.metadata.namespace : undefined;
    if (resource.namespaced && namespace === undefined) return "solid";
    const known = mirrors.get(gvkText(resource))?.get({ namespace, name: owner.name });
    const live =
      known?.metadata.uid === owner.uid ? known : await client.find(resource, { namespace, name: owner.name });
    if (live === undefined) return (await client.serves(resource)) ? "gone" : "solid";
    if (live.metadata.uid !== owner.uid) return "gone";
    return waitsForDependents(live) ? "waiting" : "solid";
  };

  const collect = async (key: string): Promise<undefined> => {
    const bar = key.indexOf("|");
    const resource = resources.get(key.slice(0, bar));
    const name = key.slice(bar + 1);
    const mirror = mirrors.get(key.slice(0, bar));
    const object = mirror?.list().find((candidate) => keyOf(candidate.metadata) === name);
    if (resource === undefined || object === undefined) return undefined;
    if (object.metadata.deletionTimestamp !== undefined) {
      if (hasFinalizer(object, ORPHAN)) await orphan(object, resource);
      else if (hasFinalizer(object, FOREGROUND)) await deleteForeground(object, resource);
      return undefined;
    }
    await decide(object, resource);
    return undefined;
  };

  const decide = async (object: KubeObject, resource: Resource): Promise<void> => {
    const references = object.metadata.ownerReferences ?? [];
    const owners = await Promise.all(references.map(async (owner) => [owner, await stateOf(owner, object)] as const));
    const collection = collectionOf(object, owners, owned(object).length > 0);
    if (collection.action === "disown") await disown(object, resource, collection.uids);
    if (collection.action !== "delete") return;
    const options = { uid: object.metadata.uid, propagationPolicy: collection.policy };
    await client.delete(resource, object.metadata, options).catch(ignoreMissing);
  };

  const disown = async (object: KubeObject, resource: Resource, uids: ReadonlySet<string>): Promise<void> => {
    const left = object.metadata.ownerReferences?.filter((owner) => !uids.has(owner.uid)) ?? [];
    const body = { metadata: { uid: object.metadata.uid, ownerReferences: left } };
    await client.patch(resource, object.metadata, { type: "merge", body }).catch(ignoreMissing);
  };

  const owned = (object: KubeObject) => [...(dependents.get(object.metadata.uid ?? "")?.values() ?? [])];
  const removeFinalizer = async (object: KubeObject, resource: Resource, finalizer: string): Promise<void> => {
    const live = await client.find(resource, object.metadata);
    if (live === undefined || live.metadata.uid !== object.metadata.uid) return;
    const finalizers = live.metadata.finalizers?.filter((name) => name !== finalizer) ?? [];
    const body = { metadata: { resourceVersion: live.metadata.resourceVersion, finalizers } };
    await client.patch(resource, object.metadata, { type: "merge", body }).catch((error: unknown) => {
      if (isConflict(error)) throw error;
      ignoreMissing(error);
    });
  };
  const orphan = async (object: KubeObject, resource: Resource): Promise<void> => {
    const uids = new Set([object.metadata.uid ?? ""]);
    for (const dependent of owned(object)) {
      const kind = resources.get(gvkText(dependent));
      if (kind !== undefined) await disown(dependent, kind, uids);
    }
    await removeFinalizer(object, resource, ORPHAN);
  };
  const deleteForeground = async (object: KubeObject, resource: Resource): Promise<void> => {
    const children = owned(object);
    for (const child of children) if (child.metadata.deletionTimestamp === undefined) worker.add(keyFor(child));
    const blocks = (child: KubeObject) =>
      child.metadata.ownerReferences?.some(
        (owner) => owner.uid === object.metadata.uid && owner.blockOwnerDeletion === true,
      );
    if (!children.some(blocks)) await removeFinalizer(object, resource, FOREGROUND);
  };

  CORE.forEach(follow);
  const definitions = mirrorObjects(client, KINDS.CustomResourceDefinition, {
    logger,
    onChange: ({ object }) => {
      const resource = object === undefined ? undefined : resourceOfDefinition(object);
      if (resource !== undefined) follow(resource);
    },
  });
  await Promise.all([...mirrors.values(), definitions].map((mirror) => mirror.synced));
  return {
    close: async () => {
      await Promise.all([definitions, ...mirrors.values()].map((mirror) => mirror.close()));
      await worker.close();
    },
  };
}

/** Metadata-only items may carry the kind PartialObjectMetadata; the index wants the real one. */
function typed(object: KubeObject, resource: Resource): KubeObject {
  return object.kind === resource.kind && object.apiVersion === resource.apiVersion
    ? object
    : { ...object, apiVersion: resource.apiVersion, kind: resource.kind };
}

/** The resource of a definition's stored version, once it is established. */
function resourceOfDefinition(definition: KubeObject): Resource | undefined {
  const established = recordsAt(definition, "status", "conditions").some(
    (condition) => condition["type"] === "Established" && condition["status"] === "True",
  );
  const version = recordsAt(definition, "spec", "versions").find((candidate) => candidate["storage"] === true);
  const kind = textAt(definition, "spec", "names", "kind");
  const plural = textAt(definition, "spec", "names", "plural");
  if (!established || version === undefined || kind === undefined || plural === undefined) return undefined;
  return {
    apiVersion: `${textAt(definition, "spec", "group")}/${textAt(version, "name")}`,
    kind,
    plural,
    namespaced: field(definition, "spec", "scope") === "Namespaced",
  };
}
