import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HttpKubeClient } from "../../kube/http-client.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { SYSTEM_NAMESPACE } from "../../playground/cluster-objects.ts";
import { textAt } from "../../playground/fields.ts";
import { OPERATOR_DEPLOYMENT } from "../../playground/operator-objects.ts";
import { startPlayground } from "../../playground/playground.ts";
import { until } from "../../playground/until.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { type Cluster, startCluster } from "../cluster/cluster.ts";
import { controlPlaneOf, allDefinitions } from "../cluster/control-plane.ts";
import { at } from "../e2e/playground.ts";
import { ROOT } from "../e2e/process.ts";
import { envoyConfig } from "../envoy/config.ts";
import { type Envoy, startEnvoy } from "../envoy/envoy.ts";
import { type CutProxy, startCutProxy } from "./cut-proxy.ts";
import { type Discovery, startDiscovery } from "./discovery.ts";

/** Name of the service under load, and of its model. */
export const SERVICE = "steady";
/** Routes of the proxy: both fail open and try again on another endpoint when one cannot be reached. */
export const ROUTES = {
  buffered: { style: "override-header", bodyMode: "BUFFERED" },
  duplex: { style: "override-metadata", bodyMode: "FULL_DUPLEX_STREAMED" },
} as const;
const RETRIES = 2;
const READY_MS = 120_000;
const MODEL_REPLICAS = 4;
const SCHEDULERS = 2;
/** Lease that operators compete for. */
const LEASE = "llminferenceservice-kserve-controller-manager";

/** Everything that a run needs, running. */
export interface Bed {
  readonly cluster: Cluster;
  /** A client past the proxy, for who watches over the run. */
  readonly client: HttpKubeClient;
  /** Between the API server and all that is under test. */
  readonly proxy: CutProxy;
  readonly discovery: Discovery;
  readonly envoy: Envoy;
  /** Lines of what the proxy could not serve (`FailureLine`), and of all writes (audit events). */
  readonly files: { readonly failures: string; readonly audit: string };
  /** Moves the wall clock of operators and schedulers by so many ms from the true time. */
  setClock(offsetMs: number): void;
  /** Pod of the operator that holds the Lease. */
  leader(): Promise<KubeObject | undefined>;
  pods(labelSelector: string, namespace?: string): Promise<readonly KubeObject[]>;
  /** Resolves when all asked for is there, ready, and nothing else. */
  settled(timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts API server, operators, schedulers, model servers and proxy. */
export async function startBed(log: (text: string) => void): Promise<Bed> {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-chaos-"));
  const closers: (() => Promise<unknown> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return { ...(await startParts(folder, closers, log)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startParts(
  folder: string,
  closers: { push(closer: () => Promise<unknown> | void): unknown },
  log: (text: string) => void,
): Promise<Omit<Bed, "close">> {
  const files = { failures: join(folder, "failures.jsonl"), audit: join(folder, "audit.jsonl") };
  const clockFile = join(folder, "clock");
  writeFileSync(clockFile, "0");
  const cluster = await startCluster({
    definitions: allDefinitions(),
    apiServerFlags: auditFlags(folder, files.audit),
  });
  closers.push(() => cluster.close());
  const proxy = await startCutProxy(Number(new URL(cluster.url).port));
  closers.push(() => proxy.close());
  const playground = await startPlayground({
    dataDir: undefined,
    kubeconfig: join(folder, "kubeconfig"),
    port: 0,
    gatewayPort: 0,
    logger: silentLogger,
    progress: { running: () => undefined, done: (name, outcome) => log(`${name}: ${outcome}\n`) },
    controlPlane: async () => controlPlaneOf(cluster, `https://127.0.0.1:${proxy.port}`),
  });
  closers.push(() => playground.close());
  const { client } = cluster;
  const pods = async (labelSelector: string, namespace = "default"): Promise<readonly KubeObject[]> =>
    (await client.list(KINDS.Pod, { namespace, labelSelector })).items;
  const clock = [
    { name: "NODE_OPTIONS", value: `--import=${ROOT}test/chaos/wall-clock.ts` },
    { name: "LLMISVC_CLOCK_FILE", value: clockFile },
  ];
  await replicateOperator(client, clock);
  await switchTlsOn(client);
  const discovery = startDiscovery(client, SERVICE, folder);
  closers.push(() => discovery.close());
  const settled = (timeoutMs = READY_MS): Promise<void> => waitSettled(client, discovery, timeoutMs);
  await until("the service is taken", () => accepted(client, serviceObject(SERVICE, clock)), { timeoutMs: READY_MS });
  await settled();
  const routes = Object.entries(ROUTES).map(([name, route]) => ({ name, ...route, retries: RETRIES }));
  const upstreams = { picker: "127.0.0.1:1", healthChecks: true, endpoints: [], tls: true };
  const envoy = await startEnvoy(envoyConfig({ ...upstreams, assignments: folder, failures: files.failures }, routes));
  closers.push(() => envoy.close());
  return {
    cluster,
    client,
    proxy,
    discovery,
    envoy,
    files,
    setClock: (offsetMs) => writeFileSync(clockFile, String(offsetMs)),
    leader: () => findLeader(cluster, pods),
    pods,
    settled,
  };
}

/** Every write but of Leases, with who wrote and what. */
function auditFlags(folder: string, log: string): readonly string[] {
  const policy = join(folder, "audit-policy.json");
  const writes = ["create", "update", "patch", "delete", "deletecollection"];
  const quiet = [
    { group: "coordination.k8s.io", resources: ["leases"] },
    { group: "authentication.k8s.io", resources: ["tokenreviews"] },
    { group: "authorization.k8s.io", resources: ["subjectaccessreviews"] },
  ];
  const rules = [{ level: "None", resources: quiet }, { level: "Metadata", verbs: writes }, { level: "None" }];
  const text = { apiVersion: "audit.k8s.io/v1", kind: "Policy", omitStages: ["RequestReceived"], rules };
  writeFileSync(policy, JSON.stringify(text));
  return [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`];
}

type Variable = { readonly name: string; readonly value: string };

/** Two operators, of which one leads. */
async function replicateOperator(client: HttpKubeClient, env: readonly Variable[]): Promise<void> {
  const key = { namespace: SYSTEM_NAMESPACE, name: OPERATOR_DEPLOYMENT };
  const containers = [{ name: "manager", args: ["--leader-elect"], env }];
  const spec = { replicas: 2, template: { spec: { containers } } };
  await client.patch(KINDS.Deployment, key, { type: "strategic", body: { spec } });
  await until("two operators", async () => isRolledOut(await client.get(KINDS.Deployment, key)), {
    timeoutMs: READY_MS,
  });
}

async function switchTlsOn(client: HttpKubeClient): Promise<void> {
  const key = { namespace: SYSTEM_NAMESPACE, name: "inferenceservice-config" };
  const { data } = (await client.get(KINDS.ConfigMap, key)) as { data?: Record<string, string> };
  const ingress = { ...(JSON.parse(data?.["ingress"] ?? "{}") as object), enableLLMInferenceServiceTLS: true };
  await client.patch(KINDS.ConfigMap, key, { type: "merge", body: { data: { ingress: JSON.stringify(ingress) } } });
}

/** Servers on a machine that others use too may be slow to answer, which is none of the faults here. */
const PATIENT = { timeoutSeconds: 30, failureThreshold: 10 };
const PATIENT_PROBES = { readinessProbe: PATIENT, livenessProbe: PATIENT };

/** Manifest of a routed service; `env` is that of its schedulers. */
export function serviceObject(name: string, env: readonly Variable[], replicas = MODEL_REPLICAS): KubeObject {
  const scheduler = { containers: [{ name: "main", args: ["--v=2", "--health-checking"], env }] };
  return {
    apiVersion: "serving.kserve.io/v1alpha2",
    kind: "LLMInferenceService",
    metadata: { name, namespace: "default" },
    spec: {
      model: { uri: "hf://facebook/opt-125m", name },
      replicas,
      router: { route: {}, gateway: {}, scheduler: { replicas: SCHEDULERS, template: scheduler } },
      template: { containers: [{ name: "main", args: ["--inter-token-latency=20ms"], ...PATIENT_PROBES }] },
    },
  };
}

/** Webhooks may not answer yet. */
async function accepted(client: HttpKubeClient, object: KubeObject): Promise<boolean> {
  return await client.apply(object, { fieldManager: "chaos", force: true }).then(
    () => true,
    () => false,
  );
}

/** Whether a Deployment is as its spec asks. */
function isRolledOut(deployment: KubeObject): boolean {
  const replicas = Number(at(deployment, "spec.replicas") ?? 1);
  return (
    at(deployment, "status.observedGeneration") === deployment.metadata.generation &&
    ["replicas", "updatedReplicas", "readyReplicas"].every(
      (field) => Number(at(deployment, `status.${field}`) ?? 0) === replicas,
    )
  );
}

async function waitSettled(client: HttpKubeClient, discovery: Discovery, timeoutMs: number): Promise<void> {
  let state = "";
  await until(
    "everything as asked for",
    async () => {
      const deployments = [KINDS.Deployment, KINDS.Pod].map((kind) => client.list(kind, {}));
      const [all, pods] = await Promise.all(deployments);
      const rolling = (all?.items ?? []).filter((one) => !isRolledOut(one)).map(({ metadata }) => metadata.name);
      const going = (pods?.items ?? []).filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
      const services = await client.list(KINDS.LLMInferenceService, {});
      const unready = services.items.filter((service) => !isServiceReady(service)).map(({ metadata }) => metadata.name);
      state = JSON.stringify({ rolling, going: going.length, unready, pickers: discovery.pickers.length });
      return rolling.length + going.length + unready.length === 0 && discovery.pickers.length === SCHEDULERS;
    },
    { timeoutMs, detail: () => state },
  );
}

function isServiceReady(service: KubeObject): boolean {
  if (service.metadata.deletionTimestamp !== undefined) return false;
  const conditions = at(service, "status.conditions");
  return (Array.isArray(conditions) ? conditions : []).some(
    (condition: unknown) => at(condition, "type") === "Ready" && at(condition, "status") === "True",
  );
}

/** The Lease names an identity, which its holder has logged. */
async function findLeader(cluster: Cluster, pods: Bed["pods"]): Promise<KubeObject | undefined> {
  const lease = await cluster.client.find(KINDS.Lease, { namespace: SYSTEM_NAMESPACE, name: LEASE });
  const holder = textAt(lease, "spec", "holderIdentity") ?? "";
  if (holder === "") return undefined;
  for (const pod of await pods("app.kubernetes.io/name=llmisvc", SYSTEM_NAMESPACE))
    if ((await logOf(cluster, pod)).includes(holder)) return pod;
  return undefined;
}

function logOf(cluster: Cluster, { metadata }: KubeObject): Promise<string> {
  const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/log`;
  const headers = { authorization: `Bearer ${cluster.token}` };
  return new Promise((resolve, reject) => {
    const sent = request(`${cluster.url}${path}`, { headers, ca: cluster.certificate }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.once("end", () => resolve(text)).once("error", reject);
    });
    sent.once("error", reject).end();
  });
}
