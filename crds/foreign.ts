import { AGE_COLUMN, type KindNames, customResourceDefinition } from "./definitions.ts";
import { GATEWAY_DEFINITIONS } from "./foreign/shared.ts";
import { readOutline } from "./outline.ts";
import type { JsonObject, JsonSchema } from "./schema/types.ts";

const GATEWAY = "gateway.networking.k8s.io";
const POOL = "inference.networking.k8s.io";
const POOL_X = "inference.networking.x-k8s.io";

const CONDITIONS = `
  conditions: []object keys=type
    type!: string
    status!: string
    reason!: string
    message!: string
    lastTransitionTime!: time
    observedGeneration: int64`;

/** What a kind has beside metadata. */
interface ForeignKind {
  readonly group: string;
  readonly version: string;
  readonly names: KindNames;
  readonly cluster?: true;
  readonly outline: string;
  readonly columns?: readonly JsonObject[];
}

const names = (kind: string, plural: string, ...shortNames: readonly string[]): KindNames => ({
  kind,
  plural,
  singular: kind.toLowerCase(),
  ...(shortNames.length === 0 ? {} : { shortNames }),
});
const column = (name: string, jsonPath: string): JsonObject => ({ name, type: "string", jsonPath });
const OPEN = "\n  spec: object preserve\n  status: object preserve";

const LOCAL_MODEL = `
  spec!: object preserve
    sourceModelUri!: string
    nodeGroups!: []string
  status: object preserve`;

const KINDS: readonly ForeignKind[] = [
  {
    group: GATEWAY,
    version: "v1",
    names: names("GatewayClass", "gatewayclasses", "gc"),
    cluster: true,
    outline: `
  spec!: object preserve
    controllerName!: string  # The controller that serves Gateways of this class.
    description: string
  status: object
  ${CONDITIONS.replaceAll("\n", "\n  ")}`,
    columns: [
      column("Controller", ".spec.controllerName"),
      column("Accepted", '.status.conditions[?(@.type=="Accepted")].status'),
      AGE_COLUMN,
    ],
  },
  {
    group: GATEWAY,
    version: "v1",
    names: names("Gateway", "gateways", "gtw"),
    outline: `
  spec!: object preserve
    gatewayClassName!: string  # The class that serves it.
    listeners!: []object keys=name preserve  # Ports it listens on.
      name!: string
      hostname: string
      port!: int min=1 max=65535
      protocol!: string  # HTTP, HTTPS, TLS, TCP or UDP.
      tls: object preserve
      allowedRoutes={"namespaces":{"from":"Same"}}: object preserve
  status: object preserve
    addresses: []object
      type: string
      value: string
    listeners: []object keys=name preserve
      name!: string
  ${CONDITIONS.replaceAll("\n", "\n  ")}`,
    columns: [
      column("Class", ".spec.gatewayClassName"),
      column("Address", ".status.addresses[*].value"),
      column("Programmed", '.status.conditions[?(@.type=="Programmed")].status'),
      AGE_COLUMN,
    ],
  },
  {
    group: GATEWAY,
    version: "v1",
    names: names("HTTPRoute", "httproutes"),
    outline: `
  spec!: @HTTPRouteSpec
  status: object
    parents!: []object preserve`,
    columns: [column("Hostnames", ".spec.hostnames"), AGE_COLUMN],
  },
  { group: GATEWAY, version: "v1", names: names("GRPCRoute", "grpcroutes"), outline: OPEN },
  {
    group: GATEWAY,
    version: "v1beta1",
    names: names("ReferenceGrant", "referencegrants", "refgrant"),
    outline: "\n  spec: object preserve",
  },
  {
    group: POOL,
    version: "v1",
    names: names("InferencePool", "inferencepools", "infpool"),
    outline: `
  spec!: @InferencePoolSpec
  status: object
    parents: []object preserve`,
  },
  {
    group: POOL_X,
    version: "v1alpha2",
    names: names("InferencePool", "inferencepools", "xinfpool"),
    outline: `
  spec!: @InferencePoolSpecV1Alpha2
  status: object preserve`,
  },
  { group: POOL_X, version: "v1alpha2", names: names("InferenceModel", "inferencemodels"), outline: OPEN },
  { group: POOL_X, version: "v1alpha2", names: names("InferenceObjective", "inferenceobjectives"), outline: OPEN },
  {
    group: POOL_X,
    version: "v1alpha2",
    names: names("InferenceModelRewrite", "inferencemodelrewrites"),
    outline: OPEN,
  },
  { group: "llm-d.ai", version: "v1alpha2", names: names("InferenceObjective", "inferenceobjectives"), outline: OPEN },
  {
    group: "llm-d.ai",
    version: "v1alpha2",
    names: names("InferenceModelRewrite", "inferencemodelrewrites"),
    outline: OPEN,
  },
  {
    group: "serving.kserve.io",
    version: "v1alpha1",
    names: names("LocalModelCache", "localmodelcaches"),
    cluster: true,
    outline: LOCAL_MODEL,
  },
  {
    group: "serving.kserve.io",
    version: "v1alpha1",
    names: names("LocalModelNamespaceCache", "localmodelnamespacecaches"),
    outline: LOCAL_MODEL,
  },
  {
    group: "leaderworkerset.x-k8s.io",
    version: "v1",
    names: names("LeaderWorkerSet", "leaderworkersets", "lws"),
    outline: OPEN,
  },
];

function definition(entry: ForeignKind): JsonObject {
  const schema: JsonSchema = readOutline(entry.outline, GATEWAY_DEFINITIONS);
  const version = {
    name: entry.version,
    storage: true,
    schema,
    ...(entry.columns === undefined ? {} : { columns: entry.columns }),
  };
  const made = customResourceDefinition(entry.group, entry.names, [version], entry.cluster ? "Cluster" : "Namespaced");
  return isProtected(entry.group)
    ? { ...made, metadata: { ...(made["metadata"] as JsonObject), annotations: OUTLINE } }
    : made;
}

/** An API server takes definitions of the groups of Kubernetes only with word on who approved them: nobody, of outlines. */
const OUTLINE = { "api-approved.kubernetes.io": "unapproved, an outline of the published definition" };
const isProtected = (group: string): boolean => /(^|\.)(k8s|kubernetes)\.io$/.test(group);

/**
 * Definitions of the kinds of other projects that the operator and the scheduler read or write, for servers that do not
 * have them: Gateway API, InferencePool in both groups, objectives and rewrites, LeaderWorkerSet, KServe's caches of models.
 */
export function foreignDefinitions(): JsonObject[] {
  return KINDS.map(definition);
}
