import type { Selection } from "../../kube/client.ts";
import { KINDS, type Resource, groupOf } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { CHILD_SELECTOR, FOREIGN_SELECTOR } from "../labels.ts";
import { CHILD_KINDS } from "../llminferenceservice/sweep.ts";

/** One watch of the operator. */
export interface Watch {
  readonly resource: Resource;
  readonly selection: Selection;
  /** Whether whole objects are kept; of others only that they exist, and their version. */
  readonly keeps: "objects" | "names";
  /** What of an object is kept. */
  readonly transform?: (object: KubeObject) => KubeObject;
}

/** Labels by which the Services that gateways bring along are found (Gateway API; Envoy Gateway; Istio's beside pools). */
export const GATEWAY_SERVICE_LABELS = [
  "gateway.networking.k8s.io/gateway-name",
  "gateway.envoyproxy.io/owning-gateway-name",
  "istio.io/inferencepool-name",
] as const;

/** Kinds that routes and presets are made of: few objects, all of which a service may refer to. */
const SHARED_KINDS: readonly Resource[] = [
  KINDS.LLMInferenceService,
  KINDS.LLMInferenceServiceConfig,
  KINDS.Gateway,
  KINDS.GatewayClass,
  KINDS.HTTPRoute,
  KINDS.InferencePool,
  KINDS.InferencePoolV1Alpha2,
];

/** Kinds that admission looks a model up in. */
const CACHE_KINDS: readonly Resource[] = [KINDS.LocalModelNamespaceCache, KINDS.LocalModelCache];

/** Kinds of which single objects of other owners are read, by name: their bodies are fetched when a service needs them. */
const REFERENCED_KINDS: readonly Resource[] = [
  KINDS.ConfigMap,
  KINDS.Secret,
  KINDS.ServiceAccount,
  KINDS.Service,
  KINDS.ClusterRoleBinding,
];

/** Kinds that several services may look up: whoever did is told of a change. */
export const LOOKED_UP_KINDS: ReadonlySet<Resource> = new Set([...SHARED_KINDS, ...REFERENCED_KINDS]);

const nameOnly = ({ apiVersion, kind, metadata }: KubeObject): KubeObject => {
  const { name, namespace, uid, resourceVersion } = metadata;
  return { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } };
};

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {});

/** A pod as far as status and certificates read it: its volumes, probes and resources, and its whole status. */
function podDigest({ apiVersion, kind, metadata, ...pod }: KubeObject): KubeObject {
  const spec = fieldsOf(pod["spec"]);
  const list = (name: string): readonly Fields[] => (Array.isArray(spec[name]) ? spec[name].map(fieldsOf) : []);
  const container = ({ name, resources, readinessProbe, livenessProbe, startupProbe }: Fields): Fields => ({
    name,
    resources,
    readinessProbe,
    livenessProbe,
    startupProbe,
  });
  const { managedFields: _, annotations: __, ...kept } = metadata;
  return {
    apiVersion,
    kind,
    metadata: kept,
    spec: {
      volumes: list("volumes"),
      containers: list("containers").map(container),
      initContainers: list("initContainers").map(container),
    },
    status: pod["status"],
  };
}

const children = new Set<Resource>(CHILD_KINDS);

/**
 * Everything the operator watches: services and what routes them as a whole, its own children by label, names of what
 * services may refer to, and its configuration in `systemNamespace`.
 */
export function operatorWatches(systemNamespace: string): readonly Watch[] {
  const labelSelector = CHILD_SELECTOR;
  return [
    ...[...SHARED_KINDS, ...CACHE_KINDS].map((resource): Watch => ({ resource, selection: {}, keeps: "objects" })),
    ...[...children, KINDS.ClusterRoleBinding]
      .filter((resource) => !SHARED_KINDS.includes(resource))
      .map((resource): Watch => ({ resource, selection: { labelSelector }, keeps: "objects" })),
    { resource: KINDS.Pod, selection: { labelSelector }, keeps: "objects", transform: podDigest },
    { resource: KINDS.ConfigMap, selection: { namespace: systemNamespace }, keeps: "objects" },
    ...GATEWAY_SERVICE_LABELS.map(
      (label): Watch => ({ resource: KINDS.Service, selection: { labelSelector: label }, keeps: "objects" }),
    ),
    ...REFERENCED_KINDS.map(
      (resource): Watch => ({
        resource,
        selection: { metadataOnly: true, labelSelector: FOREIGN_SELECTOR },
        keeps: "names",
        transform: nameOnly,
      }),
    ),
  ];
}

/** Groups that every API server serves; in `resource.k8s.io` the version may be missing. */
const BUILT_IN = new Set(["", "apps", "autoscaling", "policy", "rbac.authorization.k8s.io"]);

/** Whether an API server may lack the kind. */
export function isOptional(resource: Resource): boolean {
  return !BUILT_IN.has(groupOf(resource.apiVersion));
}
