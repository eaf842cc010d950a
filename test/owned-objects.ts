import type { HttpKubeClient } from "../kube/http-client.ts";
import { KINDS, type Resource } from "../kube/resources.ts";
import { type KubeObject, isNotFound, keyOf } from "../kube/types.ts";

/** Kinds of which objects are compared. */
const COMPARED: readonly Resource[] = [
  KINDS.LLMInferenceService,
  KINDS.HTTPRoute,
  KINDS.InferencePool,
  KINDS.InferencePoolV1Alpha2,
  KINDS.Deployment,
  KINDS.LeaderWorkerSet,
  KINDS.ResourceClaimTemplate,
  KINDS.HorizontalPodAutoscaler,
  KINDS.ScaledObject,
  KINDS.PodDisruptionBudget,
  KINDS.Service,
  KINDS.RoleBinding,
  KINDS.Role,
  KINDS.ServiceAccount,
  KINDS.Secret,
  KINDS.ClusterRoleBinding,
];

/** Everything in a namespace that services own, without what each creation makes anew; keys are kind and name. */
export async function ownedObjects(client: HttpKubeClient, namespace: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const resource of COMPARED) {
    const { items } = await client.list(resource, resource.namespaced ? { namespace } : {}).catch((error: unknown) => {
      if (isNotFound(error)) return { items: [] };
      throw error;
    });
    for (const object of items)
      if (isOwned(object) && belongsTo(object, namespace))
        found[`${object.kind}.${object.apiVersion} ${keyOf(object.metadata)}`] = comparable(object);
  }
  return found;
}

const isOwned = ({ kind, metadata }: KubeObject): boolean =>
  kind === KINDS.LLMInferenceService.kind || metadata.labels?.["app.kubernetes.io/part-of"] === "llminferenceservice";

const belongsTo = ({ metadata }: KubeObject, namespace: string): boolean =>
  metadata.namespace === namespace || (metadata.namespace === undefined && metadata.name.startsWith(namespace));

/** Addresses and certificates differ from creation to creation. */
const UNSTABLE = new Set([
  "deployment.kubernetes.io/revision",
  "clusterIP",
  "clusterIPs",
  "data",
  "observedGeneration",
  "lastTransitionTime",
]);
/** What a pod runs as where nothing is said: to say it, and its deprecated spelling, changes nothing. */
const ACCOUNT = new Set(["serviceAccount", "serviceAccountName"]);

const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0;

/** Whether a field says nothing; an empty list or map is as good as none. */
const isSilent = (key: string, value: unknown): boolean =>
  UNSTABLE.has(key) || (key !== "emptyDir" && isEmpty(value)) || (ACCOUNT.has(key) && value === "default");

/** That a service wakes is told until it is awake, which without Deployment controller it never is. */
const HISTORY = "ScaledToZero";

/** Conditions without those that tell history. */
function withoutHistory(key: string, value: unknown): unknown {
  if (key !== "conditions" || !Array.isArray(value)) return value;
  return (value as { readonly type: string }[]).filter(({ type }) => type !== HISTORY);
}

/** An object without versions, times, uids of owners, and what the controllers of Kubernetes say of it. */
function comparable({ metadata, ...all }: KubeObject): unknown {
  const { status, ...rest } = all;
  const object = all.kind === KINDS.LLMInferenceService.kind ? { ...rest, status } : rest;
  const { labels, annotations, finalizers, ownerReferences = [] } = metadata;
  const owners = ownerReferences.map(({ kind, name }) => `${kind} ${name}`);
  const text = JSON.stringify(
    { ...object, metadata: { labels, annotations, finalizers, owners } },
    (key, value: unknown) => (isSilent(key, value) ? undefined : withoutHistory(key, value)),
  );
  return JSON.parse(text);
}
