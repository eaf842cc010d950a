import { DEFAULT_PRESET_PREFIX } from "../controllers/composition/presets.ts";
import { type Operator, startOperator } from "../controllers/operator.ts";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { foreignDefinitions } from "../crds/foreign.ts";
import { type HttpKubeClient, createKubeClient } from "../kube/http-client.ts";
import type { ClusterAccess } from "../kube/http-transport.ts";
import { KINDS, type Resource } from "../kube/resources.ts";
import { type KubeObject, isAlreadyExists, isNotFound, keyOf } from "../kube/types.ts";
import { type ApiServer, createApiServer } from "../playground/apiserver/server.ts";
import { startGarbageCollector } from "../playground/controllers/garbage-collector.ts";
import { silentLogger } from "../telemetry/log.ts";
import { referenceDefinitions } from "./cluster/definitions.ts";
import { SYSTEM_NAMESPACE } from "./composition.ts";
import { plainAccess } from "./loopback.ts";

const FIELD_MANAGER = "test";
const GATEWAY = "kserve-ingress-gateway";

/** One answered request of the operator. */
export interface Answered {
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  readonly status: number;
}

/** An API server with what a cluster has before the operator comes, and garbage collection. */
export interface OperatorBed {
  readonly client: HttpKubeClient;
  /** Everything that operators were answered so far. */
  readonly answered: Answered[];
  /** Starts an operator in this process, whose wall clock stands still so that what it writes can be compared. */
  start(options?: { readonly identity?: string }): Promise<Operator>;
  /** Resolves when operators sent nothing for `quietMs`. Rejects after half a minute. */
  quiet(quietMs?: number): Promise<void>;
  close(): Promise<void>;
}

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

/** Starts a bed, on the embedded API server or on the one that `access` leads to. */
export async function startBed(namespaces: readonly string[], access?: ClusterAccess): Promise<OperatorBed> {
  const server = access === undefined ? await createApiServer() : undefined;
  const reach = access ?? plainAccess(server!.url);
  const client = createKubeClient(reach);
  await prepare(client, namespaces);
  const collector = server === undefined ? undefined : await startGarbageCollector(client, silentLogger);
  return new Bed(reach, client, async () => {
    await collector?.close();
    client.close();
    await (server as ApiServer | undefined)?.close();
  });
}

class Bed implements OperatorBed {
  readonly client: HttpKubeClient;
  readonly answered: Answered[] = [];
  readonly #access: ClusterAccess;
  readonly #close: () => Promise<void>;
  readonly #operators = new Set<{ operator: Operator; client: HttpKubeClient }>();

  constructor(access: ClusterAccess, client: HttpKubeClient, close: () => Promise<void>) {
    this.#access = access;
    this.client = client;
    this.#close = close;
  }

  async start({ identity }: { readonly identity?: string } = {}): Promise<Operator> {
    const client = createKubeClient(this.#access, {
      onAnswer: (method, path, status) => void this.answered.push({ method, path, status }),
    });
    const operator = await startOperator({
      client,
      settings: { systemNamespace: SYSTEM_NAMESPACE, clusterDomain: "cluster.local", wildcardHostname: "inference" },
      presets: { prefix: DEFAULT_PRESET_PREFIX, pinned: true },
      images: {},
      protectPresets: true,
      webhook: { host: "127.0.0.1", port: 0 },
      identity,
      logger: silentLogger,
      wallMs: () => NOW_MS,
    });
    await publishWebhooks(this.client, operator.webhookPort);
    const running = { operator, client };
    this.#operators.add(running);
    return {
      ...operator,
      get ready() {
        return operator.ready;
      },
      webhookPort: operator.webhookPort,
      close: async () => {
        this.#operators.delete(running);
        await operator.close();
        client.close();
      },
    };
  }

  async quiet(quietMs = 150): Promise<void> {
    const deadline = performance.now() + 30_000;
    let count = -1;
    let since = performance.now();
    while (performance.now() - since < quietMs) {
      if (performance.now() > deadline) throw new Error(`not quiet: ${JSON.stringify(this.answered.slice(-5))}`);
      if (this.answered.length !== count) [count, since] = [this.answered.length, performance.now()];
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async close(): Promise<void> {
    for (const { operator, client } of this.#operators) {
      await operator.close();
      client.close();
    }
    await this.#close();
  }
}

/** The wall clock of operators under test. */
const NOW_MS = Date.parse("2026-01-01T00:00:00Z");

/** Kinds of projects whose definitions say nothing that matters here. */
const FURTHER: readonly Resource[] = [
  KINDS.PodMonitor,
  KINDS.ServiceMonitor,
  KINDS.DestinationRule,
  KINDS.BackendTLSPolicy,
];

function outline({ apiVersion, kind, plural }: Resource): KubeObject {
  const [group = "", name = ""] = apiVersion.split("/");
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  return {
    apiVersion: KINDS.CustomResourceDefinition.apiVersion,
    kind: KINDS.CustomResourceDefinition.kind,
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name, served: true, storage: true, schema, subresources: { status: {} } }],
    },
  };
}

async function prepare(client: HttpKubeClient, namespaces: readonly string[]): Promise<void> {
  const create = async (object: KubeObject): Promise<void> => {
    await client.create(object, { fieldManager: FIELD_MANAGER }).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
    });
  };
  const ours = [...customResourceDefinitions(), ...foreignDefinitions()] as unknown as KubeObject[];
  const known = new Set(ours.map(({ metadata }) => metadata.name));
  const official = [...referenceDefinitions(), ...FURTHER.map(outline)].filter(
    ({ metadata }) => !known.has(metadata.name),
  );
  for (const definition of [...ours, ...official]) await create(definition);
  for (const name of [SYSTEM_NAMESPACE, ...namespaces]) {
    await create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    await create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: name } });
  }
  const key = { namespace: SYSTEM_NAMESPACE, name: GATEWAY };
  const listeners = [{ name: "http", protocol: "HTTP", port: 80, allowedRoutes: { namespaces: { from: "All" } } }];
  const { apiVersion, kind } = KINDS.Gateway;
  await create({ apiVersion, kind, metadata: key, spec: { gatewayClassName: "test", listeners } });
  const status = { addresses: [{ type: "IPAddress", value: "203.0.113.10" }] };
  await client.patch(KINDS.Gateway, key, { type: "merge", body: { status } }, { subresource: "status" });
}

/** The Service of an installation, with this process behind it. */
async function publishWebhooks(client: HttpKubeClient, port: number): Promise<void> {
  const name = "llmisvc-webhook-server-service";
  const metadata = { name, namespace: SYSTEM_NAMESPACE };
  const options = { fieldManager: FIELD_MANAGER, force: true };
  const ports = [{ name: "https", port: 443, targetPort: port, protocol: "TCP" }];
  await client.apply({ apiVersion: "v1", kind: "Service", metadata, spec: { ports } }, options);
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready: true } }],
    ports: [{ name: "https", port, protocol: "TCP" }],
  };
  await client.apply(slice, options);
}

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
const UNSTABLE = new Set(["clusterIP", "clusterIPs", "data", "observedGeneration", "lastTransitionTime"]);
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

/** An object without versions, times, and uids of owners. */
function comparable({ metadata, ...object }: KubeObject): unknown {
  const { labels, annotations, finalizers, ownerReferences = [] } = metadata;
  const owners = ownerReferences.map(({ kind, name }) => `${kind} ${name}`);
  const text = JSON.stringify(
    { ...object, metadata: { labels, annotations, finalizers, owners } },
    (key, value: unknown) => (isSilent(key, value) ? undefined : withoutHistory(key, value)),
  );
  return JSON.parse(text);
}
