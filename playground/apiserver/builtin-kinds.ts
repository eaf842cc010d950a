import type { JsonSchema } from "../../crds/schema/types.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import type { BuiltinKind, ScalePaths } from "./kinds.ts";

type Properties = Readonly<Record<string, JsonSchema>>;

/** An object of which only the fields that steer merges are described; all others pass. */
const open = (properties: Properties = {}): JsonSchema => ({
  type: "object",
  properties,
  "x-kubernetes-preserve-unknown-fields": true,
});

/** A list whose elements have identities: `keys` for server-side apply, `mergeKey` for strategic merge patches. */
const keyed = (keys: readonly string[], items: JsonSchema, mergeKey = keys[0]!): JsonSchema => ({
  type: "array",
  items,
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": keys,
  "x-kubernetes-patch-merge-key": mergeKey,
  "x-kubernetes-patch-strategy": "merge",
});

const TEXT: JsonSchema = { type: "string" };
const ATOMIC_MAP: JsonSchema = { ...open(), "x-kubernetes-map-type": "atomic" };
const CONDITIONS = keyed(["type"], open({ type: TEXT }));

const PORTS = keyed(
  ["containerPort", "protocol"],
  open({ protocol: { type: "string", default: "TCP" }, containerPort: { type: "integer" } }),
);
const CONTAINERS = keyed(
  ["name"],
  open({
    name: TEXT,
    image: TEXT,
    command: { type: "array", items: TEXT },
    args: { type: "array", items: TEXT },
    env: keyed(["name"], open({ name: TEXT, value: TEXT })),
    ports: PORTS,
    volumeMounts: keyed(["mountPath"], open({ name: TEXT, mountPath: TEXT })),
  }),
);
const POD_SPEC = open({
  containers: CONTAINERS,
  initContainers: CONTAINERS,
  volumes: {
    ...keyed(["name"], open({ name: TEXT })),
    "x-kubernetes-patch-strategy": "merge,retainKeys",
  },
  imagePullSecrets: keyed(["name"], open({ name: TEXT })),
  nodeSelector: ATOMIC_MAP,
  terminationGracePeriodSeconds: { type: "integer", minimum: 0 },
});
const STATUSES = keyed(["name"], open({ name: TEXT }));
const TEMPLATE = open({ metadata: open(), spec: POD_SPEC });
const WORKLOAD: Properties = {
  spec: open({ replicas: { type: "integer" }, selector: ATOMIC_MAP, template: TEMPLATE }),
  status: open({ conditions: CONDITIONS }),
};

const SERVICE_PORTS = keyed(
  ["port", "protocol"],
  open({ port: { type: "integer" }, protocol: { type: "string", default: "TCP" }, name: TEXT }),
);

/** What is known of the fields of a kind, by its plural; other kinds are open. */
const FIELDS: Readonly<Record<string, Properties>> = {
  pods: { spec: POD_SPEC, status: open({ conditions: CONDITIONS, containerStatuses: STATUSES }) },
  deployments: WORKLOAD,
  replicasets: WORKLOAD,
  statefulsets: WORKLOAD,
  services: { spec: open({ ports: SERVICE_PORTS, selector: ATOMIC_MAP }), status: open({ conditions: CONDITIONS }) },
  configmaps: { data: { type: "object", additionalProperties: TEXT } },
  secrets: {
    data: { type: "object", additionalProperties: TEXT },
    stringData: { type: "object", additionalProperties: TEXT },
  },
  endpointslices: { addressType: TEXT },
  rolebindings: { roleRef: ATOMIC_MAP },
  clusterrolebindings: { roleRef: ATOMIC_MAP },
  mutatingwebhookconfigurations: { webhooks: keyed(["name"], open({ name: TEXT })) },
  validatingwebhookconfigurations: { webhooks: keyed(["name"], open({ name: TEXT })) },
  nodes: { status: open({ conditions: CONDITIONS }) },
  namespaces: { status: open({ conditions: CONDITIONS }) },
};

const SCALE: ScalePaths = {
  specReplicasPath: ".spec.replicas",
  statusReplicasPath: ".status.replicas",
  labelSelectorPath: ".spec.selector",
};

interface Traits {
  readonly short?: readonly string[];
  readonly status?: boolean;
  readonly scale?: boolean;
  readonly all?: boolean;
}

/** The built-in kinds of the server, and how `kubectl` calls them. */
const TRAITS: Partial<Record<keyof typeof KINDS, Traits>> = {
  Namespace: { short: ["ns"], status: true },
  Node: { short: ["no"], status: true },
  Pod: { short: ["po"], status: true, all: true },
  Service: { short: ["svc"], status: true, all: true },
  ConfigMap: { short: ["cm"] },
  Secret: {},
  ServiceAccount: { short: ["sa"] },
  Endpoints: { short: ["ep"] },
  PersistentVolumeClaim: { short: ["pvc"], status: true },
  Event: { short: ["ev"] },
  Deployment: { short: ["deploy"], status: true, scale: true, all: true },
  ReplicaSet: { short: ["rs"], status: true, scale: true, all: true },
  StatefulSet: { short: ["sts"], status: true, scale: true, all: true },
  Role: {},
  RoleBinding: {},
  ClusterRole: {},
  ClusterRoleBinding: {},
  Lease: {},
  EndpointSlice: {},
  EventsV1Event: { short: ["ev"] },
  MutatingWebhookConfiguration: {},
  ValidatingWebhookConfiguration: {},
  CustomResourceDefinition: { short: ["crd", "crds"], status: true },
  HorizontalPodAutoscaler: { short: ["hpa"], status: true, all: true },
  PodDisruptionBudget: { short: ["pdb"], status: true },
  NetworkPolicy: { short: ["netpol"] },
};

function describe(resource: Resource, traits: Traits): BuiltinKind {
  return {
    ...resource,
    singular: resource.kind.toLowerCase(),
    shortNames: traits.short ?? [],
    schema: open({ apiVersion: TEXT, kind: TEXT, metadata: { type: "object" }, ...FIELDS[resource.plural] }),
    hasStatus: traits.status === true,
    ...(traits.scale === true ? { scale: SCALE } : {}),
    printerColumns: [{ name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" }],
    categories: traits.all === true ? ["all"] : [],
  };
}

/** The built-in kinds that the server serves. */
export function builtinKinds(): BuiltinKind[] {
  const keys = Object.keys(TRAITS) as (keyof typeof TRAITS)[];
  return keys.map((key) => describe(KINDS[key], TRAITS[key] ?? {}));
}
