import type { GroupVersionKind, KubeObject, ObjectKey } from "./types.ts";

/** A kind with what its URL needs. */
export interface Resource extends GroupVersionKind {
  readonly plural: string;
  readonly namespaced: boolean;
  /** Version whose collection holds it where that is not its own: sub-resources may have a kind of another group. */
  readonly servedIn?: string;
}

const namespaced = (apiVersion: string, kind: string, plural: string): Resource => ({
  apiVersion,
  kind,
  plural,
  namespaced: true,
});
const cluster = (apiVersion: string, kind: string, plural: string): Resource => ({
  apiVersion,
  kind,
  plural,
  namespaced: false,
});

/** Every kind this product reads or writes. Where several versions are spoken, the older one carries its version in its name. */
export const KINDS = {
  Namespace: cluster("v1", "Namespace", "namespaces"),
  Node: cluster("v1", "Node", "nodes"),
  Pod: namespaced("v1", "Pod", "pods"),
  /** Assigns a pod to a node: created as sub-resource `binding` of the pod. */
  Binding: namespaced("v1", "Binding", "pods"),
  Service: namespaced("v1", "Service", "services"),
  ConfigMap: namespaced("v1", "ConfigMap", "configmaps"),
  Secret: namespaced("v1", "Secret", "secrets"),
  ServiceAccount: namespaced("v1", "ServiceAccount", "serviceaccounts"),
  Endpoints: namespaced("v1", "Endpoints", "endpoints"),
  PersistentVolumeClaim: namespaced("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
  Event: namespaced("v1", "Event", "events"),
  Deployment: namespaced("apps/v1", "Deployment", "deployments"),
  ReplicaSet: namespaced("apps/v1", "ReplicaSet", "replicasets"),
  StatefulSet: namespaced("apps/v1", "StatefulSet", "statefulsets"),
  Role: namespaced("rbac.authorization.k8s.io/v1", "Role", "roles"),
  RoleBinding: namespaced("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
  ClusterRole: cluster("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles"),
  ClusterRoleBinding: cluster("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings"),
  Lease: namespaced("coordination.k8s.io/v1", "Lease", "leases"),
  EndpointSlice: namespaced("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
  EventsV1Event: namespaced("events.k8s.io/v1", "Event", "events"),
  MutatingWebhookConfiguration: cluster(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
  ),
  ValidatingWebhookConfiguration: cluster(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
  ),
  CustomResourceDefinition: cluster("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions"),
  HorizontalPodAutoscaler: namespaced("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
  PodDisruptionBudget: namespaced("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
  NetworkPolicy: namespaced("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
  ResourceClaimTemplate: namespaced("resource.k8s.io/v1", "ResourceClaimTemplate", "resourceclaimtemplates"),
  DeviceClass: cluster("resource.k8s.io/v1", "DeviceClass", "deviceclasses"),
  /** Issues a token: created as sub-resource `token` of a ServiceAccount. */
  TokenRequest: { ...namespaced("authentication.k8s.io/v1", "TokenRequest", "serviceaccounts"), servedIn: "v1" },
  TokenReview: cluster("authentication.k8s.io/v1", "TokenReview", "tokenreviews"),
  SubjectAccessReview: cluster("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews"),
  GatewayClass: cluster("gateway.networking.k8s.io/v1", "GatewayClass", "gatewayclasses"),
  Gateway: namespaced("gateway.networking.k8s.io/v1", "Gateway", "gateways"),
  HTTPRoute: namespaced("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes"),
  GRPCRoute: namespaced("gateway.networking.k8s.io/v1", "GRPCRoute", "grpcroutes"),
  ReferenceGrant: namespaced("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "referencegrants"),
  BackendTLSPolicy: namespaced("gateway.networking.k8s.io/v1", "BackendTLSPolicy", "backendtlspolicies"),
  InferencePool: namespaced("inference.networking.k8s.io/v1", "InferencePool", "inferencepools"),
  InferencePoolV1Alpha2: namespaced("inference.networking.x-k8s.io/v1alpha2", "InferencePool", "inferencepools"),
  InferenceModelV1Alpha2: namespaced("inference.networking.x-k8s.io/v1alpha2", "InferenceModel", "inferencemodels"),
  InferenceObjectiveV1Alpha2: namespaced(
    "inference.networking.x-k8s.io/v1alpha2",
    "InferenceObjective",
    "inferenceobjectives",
  ),
  InferenceModelRewriteV1Alpha2: namespaced(
    "inference.networking.x-k8s.io/v1alpha2",
    "InferenceModelRewrite",
    "inferencemodelrewrites",
  ),
  InferenceObjective: namespaced("llm-d.ai/v1alpha2", "InferenceObjective", "inferenceobjectives"),
  InferenceModelRewrite: namespaced("llm-d.ai/v1alpha2", "InferenceModelRewrite", "inferencemodelrewrites"),
  VariantAutoscaling: namespaced("llmd.ai/v1alpha1", "VariantAutoscaling", "variantautoscalings"),
  LLMInferenceService: namespaced("serving.kserve.io/v1alpha2", "LLMInferenceService", "llminferenceservices"),
  LLMInferenceServiceV1Alpha1: namespaced("serving.kserve.io/v1alpha1", "LLMInferenceService", "llminferenceservices"),
  LLMInferenceServiceConfig: namespaced(
    "serving.kserve.io/v1alpha2",
    "LLMInferenceServiceConfig",
    "llminferenceserviceconfigs",
  ),
  LLMInferenceServiceConfigV1Alpha1: namespaced(
    "serving.kserve.io/v1alpha1",
    "LLMInferenceServiceConfig",
    "llminferenceserviceconfigs",
  ),
  LocalModelCache: cluster("serving.kserve.io/v1alpha1", "LocalModelCache", "localmodelcaches"),
  LocalModelNamespaceCache: namespaced(
    "serving.kserve.io/v1alpha1",
    "LocalModelNamespaceCache",
    "localmodelnamespacecaches",
  ),
  ClusterStorageContainer: cluster("serving.kserve.io/v1alpha1", "ClusterStorageContainer", "clusterstoragecontainers"),
  LeaderWorkerSet: namespaced("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets"),
  ScaledObject: namespaced("keda.sh/v1alpha1", "ScaledObject", "scaledobjects"),
  TriggerAuthentication: namespaced("keda.sh/v1alpha1", "TriggerAuthentication", "triggerauthentications"),
  ClusterTriggerAuthentication: cluster(
    "keda.sh/v1alpha1",
    "ClusterTriggerAuthentication",
    "clustertriggerauthentications",
  ),
  ServiceMonitor: namespaced("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors"),
  PodMonitor: namespaced("monitoring.coreos.com/v1", "PodMonitor", "podmonitors"),
  PrometheusRule: namespaced("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules"),
  DestinationRule: namespaced("networking.istio.io/v1", "DestinationRule", "destinationrules"),
  VirtualService: namespaced("networking.istio.io/v1", "VirtualService", "virtualservices"),
  EnvoyFilter: namespaced("networking.istio.io/v1alpha3", "EnvoyFilter", "envoyfilters"),
  Certificate: namespaced("cert-manager.io/v1", "Certificate", "certificates"),
  Issuer: namespaced("cert-manager.io/v1", "Issuer", "issuers"),
} as const satisfies Readonly<Record<string, Resource>>;

const BY_GVK: ReadonlyMap<string, Resource> = new Map(
  Object.values(KINDS).map((resource) => [gvkText(resource), resource]),
);

/** `apiVersion/kind`, a map key that tells versions apart. */
export function gvkText(gvk: GroupVersionKind): string {
  return `${gvk.apiVersion}/${gvk.kind}`;
}

/** The API group of an apiVersion; the core group is the empty string. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
}

/** The resource of a kind, or undefined for a kind outside the table. */
export function findResource(gvk: GroupVersionKind): Resource | undefined {
  return BY_GVK.get(gvkText(gvk));
}

/** The resource of a kind. Throws `Error` for a kind outside the table. */
export function resourceOf(gvk: GroupVersionKind): Resource {
  const resource = findResource(gvk);
  if (resource === undefined) throw new Error(`kind ${gvk.kind} of ${gvk.apiVersion} is not in the resource table`);
  return resource;
}

/** URL path of an apiVersion: `/api/v1` or `/apis/group/version`. */
export function apiPath(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

/** URL path of a collection: of one namespace, or of the whole cluster when `namespace` is undefined. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${apiPath(resource.servedIn ?? resource.apiVersion)}${scope}/${resource.plural}`;
}

/** URL path of one object, or of a sub-resource (`status`, `scale`) of it. Throws where a namespace is missing. */
export function objectPath(resource: Resource, key: ObjectKey, subresource?: string): string {
  if (resource.namespaced && (key.namespace === undefined || key.namespace === ""))
    throw new Error(`${resource.kind} "${key.name}": metadata.namespace is required for a namespaced kind`);
  const path = `${collectionPath(resource, key.namespace)}/${encodeURIComponent(key.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** `Kind namespace/name`, for messages. */
export function describeObject(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? `${object.kind} ${name}` : `${object.kind} ${namespace}/${name}`;
}
