import { type Resource, KINDS, gvkText, resourceOf } from "../../kube/resources.ts";
import type { KubeObject, ObjectKey } from "../../kube/types.ts";
import { keyOf } from "../../kube/types.ts";
import { baseLabels } from "../labels.ts";
import { hashedBindingName, isBindingOf } from "../scheduler/rbac.ts";
import { type Pass, isControlledBy } from "./pass.ts";

/** Kinds of which a service can have children: whatever an earlier pass, an earlier spec or KServe has made of them. */
export const CHILD_KINDS: readonly Resource[] = [
  KINDS.HTTPRoute,
  KINDS.InferencePool,
  KINDS.InferencePoolV1Alpha2,
  KINDS.Deployment,
  KINDS.LeaderWorkerSet,
  KINDS.ResourceClaimTemplate,
  KINDS.HorizontalPodAutoscaler,
  KINDS.ScaledObject,
  KINDS.PodDisruptionBudget,
  KINDS.PodMonitor,
  KINDS.ServiceMonitor,
  KINDS.DestinationRule,
  KINDS.BackendTLSPolicy,
  KINDS.ConfigMap,
  KINDS.Service,
  KINDS.RoleBinding,
  KINDS.Role,
  KINDS.ServiceAccount,
  KINDS.Secret,
];

const identity = (resource: Resource, key: ObjectKey): string => `${gvkText(resource)} ${keyOf(key)}`;

interface Found {
  readonly resource: Resource;
  readonly key: ObjectKey;
}

function ownedChildren(pass: Pass): readonly Found[] {
  return CHILD_KINDS.flatMap((resource) =>
    pass.cluster
      .list(resource, pass.namespace, baseLabels(pass.name))
      .filter((object) => isControlledBy(object, pass.owner.uid) && object.metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => ({ resource, key: { namespace: metadata.namespace, name: metadata.name } })),
  );
}

/** The ClusterRoleBindings of a service: cluster-scoped, so that no garbage collector takes them. */
export function clusterBindings(pass: Pick<Pass, "cluster" | "namespace" | "name" | "names">): readonly Found[] {
  return [pass.names.schedulerAuthBinding, hashedBindingName(pass.namespace, pass.name)].flatMap((name) => {
    const live = pass.cluster.find(KINDS.ClusterRoleBinding, { name });
    const ours = live !== undefined && isBindingOf(pass, live);
    return ours ? [{ resource: KINDS.ClusterRoleBinding, key: { name } }] : [];
  });
}

/** Live children of the service that are not among the desired ones, in an order that takes traffic away first. */
export function obsoleteChildren(pass: Pass, desired: readonly KubeObject[]): readonly Found[] {
  const wanted = new Set(desired.map((object) => identity(resourceOf(object), object.metadata)));
  return [...ownedChildren(pass), ...clusterBindings(pass)].filter(
    ({ resource, key }) => !wanted.has(identity(resource, key)),
  );
}
