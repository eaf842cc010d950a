import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { foreignDefinitions } from "../crds/foreign.ts";
import { bundle } from "../images/bundle.ts";
import type { KubeClient } from "../kube/client.ts";
import { createKubeClient, loadKubeConfig } from "../kube/http-client.ts";
import { type ObjectChange, startReflector } from "../kube/reflector.ts";
import { KINDS, type Resource } from "../kube/resources.ts";
import { type KubeObject, keyOf } from "../kube/types.ts";
import { untilStill } from "../playground/until.ts";
import { SYSTEM_NAMESPACE } from "../test/composition.ts";
import { createGateway, createNamespaces, createOnce, publishWebhooks } from "../test/installation.ts";
import { type Bench, printTable, quantile, readOptions } from "./support/bench.ts";
import { type Child, jsonLine, startNode } from "./support/child.ts";
import { usageOf } from "./support/process-usage.ts";
import { type BenchServer, inNetwork, repeatInNetwork, startRealServer } from "./support/real-server.ts";

const API_SERVER = new URL("support/api-server.ts", import.meta.url).pathname;
const FIELD_MANAGER = "bench";
const NAMESPACES = 50;
const PARALLEL = 16;
/** A time without a request after which an operator counts as quiet; less where the time at rest is less. */
const MAX_QUIET_MS = 2_000;

const DEFAULTS = {
  services: "5000",
  edits: "200",
  /** Seconds at rest. */
  rest: "20",
  shape: "routed",
  kubeconfig: "",
  server: "embedded",
};

/** Kinds of the children of a routed service. */
const CHILDREN: readonly Resource[] = [
  KINDS.Deployment,
  KINDS.Service,
  KINDS.Secret,
  KINDS.ServiceAccount,
  KINDS.Role,
  KINDS.RoleBinding,
  KINDS.ClusterRoleBinding,
  KINDS.InferencePool,
  KINDS.HTTPRoute,
];

const MODEL = { uri: "hf://meta-llama/Llama-3.1-8B-Instruct", name: "llama" };
const SHAPES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  routed: { replicas: 1, model: MODEL, router: { gateway: {}, route: {}, scheduler: {} } },
  plain: { replicas: 1, model: MODEL },
};

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const serviceKey = (index: number): { namespace: string; name: string } => ({
  namespace: `bench-${index % NAMESPACES}`,
  name: `svc-${index}`,
});

/** Definitions, namespaces and the Gateway: what a cluster has before the operator comes. */
async function prepare(client: KubeClient): Promise<void> {
  for (const definition of [...foreignDefinitions(), ...customResourceDefinitions()])
    await createOnce(client, definition as unknown as KubeObject);
  await createNamespaces(
    client,
    Array.from({ length: NAMESPACES }, (_, index) => `bench-${index}`),
  );
  await createGateway(client);
}

/** Counts objects of a kind that satisfy a condition, as a watch shows them. */
class Watched {
  readonly #seen = new Map<string, string>();
  readonly #waiting = new Set<() => void>();
  readonly #reflector;

  constructor(client: KubeClient, resource: Resource, metadataOnly: boolean, state: (object: KubeObject) => string) {
    this.#reflector = startReflector({
      client,
      resource,
      selection: { metadataOnly },
      transform: (object) => ({ ...object, metadata: { ...object.metadata, managedFields: undefined } }),
    });
    this.#reflector.subscribe(({ type, object }: ObjectChange) => {
      if (type === "deleted") this.#seen.delete(keyOf(object.metadata));
      else this.#seen.set(keyOf(object.metadata), state(object));
      for (const check of this.#waiting) check();
    });
  }

  state(key: string): string | undefined {
    return this.#seen.get(key);
  }

  async until(what: string, holds: (seen: ReadonlyMap<string, string>) => boolean, limitMs: number): Promise<void> {
    if (holds(this.#seen)) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what}: not within ${limitMs} ms`)), limitMs);
      const check = (): void => {
        if (!holds(this.#seen)) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
    });
  }

  close(): Promise<void> {
    return this.#reflector.close();
  }
}

const settledState = (object: KubeObject): string => {
  const status = object["status"] as { observedGeneration?: number; conditions?: unknown } | undefined;
  return status?.observedGeneration === object.metadata.generation ? "settled" : "open";
};

/** Live heap and memory outside it, in MiB, by the operator's own metrics. */
async function heapOf(health: number): Promise<string> {
  const page = await (await fetch(`http://127.0.0.1:${health}/metrics`)).text();
  const value = (name: string): string =>
    (Number(new RegExp(`^${name} (\\S+)$`, "m").exec(page)?.[1]) / 2 ** 20).toFixed(0);
  return `${value("nodejs_heap_size_used_bytes")} + ${value("nodejs_external_memory_bytes")} MiB`;
}

/** Writes and other requests of the operator since its start, by its own metric. */
async function requestsOf(health: number): Promise<ReadonlyMap<string, number>> {
  const page = await (await fetch(`http://127.0.0.1:${health}/metrics`)).text();
  const counts = new Map<string, number>();
  for (const match of page.matchAll(/^rest_client_requests_total\{[^}]*method="(\w+)"[^}]*\} (\d+)$/gm))
    counts.set(match[1]!, (counts.get(match[1]!) ?? 0) + Number(match[2]));
  return counts;
}

/** Reconciles of services since the operator's start, by its own metric. */
async function reconcilesOf(health: number): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${health}/metrics`)).text();
  const counts = page.matchAll(
    /^controller_runtime_reconcile_total\{controller="llminferenceservice",[^}]*\} (\d+)$/gm,
  );
  return [...counts].reduce((total, [, count]) => total + Number(count), 0);
}

const sum = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((total, count) => total + count, 0);

const describe = (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string =>
  [...after].map(([method, count]) => `${method} ${count - (before.get(method) ?? 0)}`).join(", ");

interface Operator {
  readonly child: Child;
  readonly health: number;
}

/** What operators are started from and with. */
interface Setup extends Pick<BenchServer, "kubeconfig" | "address" | "cpu"> {
  readonly client: KubeClient;
  /** The operator as images have it. */
  readonly program: string;
  /** API server, as the option names it. */
  readonly server: string;
}

async function startOperator({ client, kubeconfig, address, program, server }: Setup): Promise<Operator> {
  const [health, webhooks] = [await freePort(), await freePort()];
  await publishWebhooks(client, { host: address, port: webhooks, server });
  const args = [
    `--webhook-port=${webhooks}`,
    `--health-probe-addr=127.0.0.1:${health}`,
    `-v=${process.env["BENCH_VERBOSITY"] ?? 0}`,
  ];
  const child = startNode(["--max-semi-space-size=32", ...nodeArguments("BENCH_OPERATOR_ARGS"), program, ...args], {
    KUBECONFIG: kubeconfig,
    LLMISVC_BIND_ADDRESS: address,
    POD_NAMESPACE: SYSTEM_NAMESPACE,
  });
  child.process.once("exit", (code, signal) => {
    if (code === 0) return;
    console.error(`the operator ended with ${signal ?? code}`);
    process.exit(1);
  });
  return { child, health };
}

/** Further arguments of a process for this Node.js, such as `--cpu-prof`. */
const nodeArguments = (variable: string): string[] =>
  (process.env[variable] ?? "").split(" ").filter((arg) => arg !== "");

/** Waits until the operator sent nothing for some time; returns when it sent its last request. */
async function quiet({ health }: Operator, quietMs: number, limitMs: number): Promise<number> {
  const read = (): Promise<number | undefined> => requestsOf(health).then(sum, () => undefined);
  return (await untilStill("silence of the operator", quietMs, read, { timeoutMs: limitMs, pollMs: 100 })).sinceMs;
}

/** Objects that services own. */
async function childrenOf(client: KubeClient): Promise<number> {
  const labelSelector = "app.kubernetes.io/part-of=llminferenceservice";
  const lists = CHILDREN.map((resource) => client.list(resource, { labelSelector, metadataOnly: true }));
  return (await Promise.all(lists)).reduce((total, { items }) => total + items.length, 0);
}

async function edits(client: KubeClient, services: number, count: number): Promise<readonly number[]> {
  const deployments = new Watched(client, KINDS.Deployment, true, ({ metadata }) => String(metadata.generation));
  await deployments.until("Deployments", (seen) => seen.size >= services, 120_000);
  const times: number[] = [];
  for (let edit = 0; edit < count; edit++) {
    const key = serviceKey((edit * 7919) % services);
    const child = `${key.namespace}/${key.name}-kserve`;
    const before = deployments.state(child);
    const startedAt = performance.now();
    const body = { spec: { replicas: 2 + Math.floor(edit / services) } };
    await client.patch(KINDS.LLMInferenceService, key, { type: "merge", body }, { fieldManager: FIELD_MANAGER });
    await deployments.until(`effect on ${child}`, () => deployments.state(child) !== before, 30_000);
    times.push(performance.now() - startedAt);
  }
  await deployments.close();
  return times.sort((a, b) => a - b);
}

async function measure(
  setup: Setup,
  options: { services: number; edits: number; restMs: number; shape: string },
): Promise<void> {
  const { client } = setup;
  const quietMs = Math.min(MAX_QUIET_MS, options.restMs);
  const rows: string[][] = [["figure", "value"]];
  const startedOver = performance.now();
  const say = (what: string): void =>
    console.error(`${((performance.now() - startedOver) / 1000).toFixed(0)} s: ${what}`);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  await prepare(client);
  const indexes = Array.from({ length: options.services }, (_, index) => index);
  const { apiVersion, kind } = KINDS.LLMInferenceService;
  await inParallel(indexes, (index) =>
    client.create(
      { apiVersion, kind, metadata: serviceKey(index), spec: SHAPES[options.shape] },
      { fieldManager: FIELD_MANAGER },
    ),
  );
  say(`${options.services} services created`);
  const services = new Watched(client, KINDS.LLMInferenceService, false, settledState);
  const startedAt = performance.now();
  const operator = await startOperator(setup);
  const { pid } = operator.child;
  try {
    const limitMs = 900_000;
    await services.until(
      "status of all",
      (seen) => seen.size === options.services && [...seen.values()].every((state) => state === "settled"),
      limitMs,
    );
    rows.push(["cold: until every service has a status", seconds(performance.now() - startedAt)]);
    say(rows.at(-1)!.join(" "));
    rows.push(["cold: children", String(await childrenOf(client))]);
    rows.push(["cold: until the last request", seconds((await quiet(operator, quietMs, limitMs)) - startedAt)]);
    rows.push(["cold: CPU of the operator", `${usageOf(pid).cpuSeconds.toFixed(1)} s`]);
    if (setup.cpu() !== "") rows.push(["since its start: CPU of the API server", setup.cpu()]);
    rows.push(["cold: requests", describe(new Map(), await requestsOf(operator.health))]);
    rows.push(["cold: reconciles", String(await reconcilesOf(operator.health))]);
    rows.push(["RSS after the cold reconcile", `${usageOf(pid).rssMiB.toFixed(0)} MiB`]);
    say(rows.map((row) => row.join(" ")).join("; "));
    const [before, usage] = [await requestsOf(operator.health), usageOf(pid)];
    await pause(options.restMs);
    rows.push([`at rest, ${seconds(options.restMs)}: requests`, describe(before, await requestsOf(operator.health))]);
    rows.push(["at rest: CPU", `${(usageOf(pid).cpuSeconds - usage.cpuSeconds).toFixed(2)} s`]);
    const times = await edits(client, options.services, options.edits);
    rows.push([
      "edit to effect: p50, p99",
      `${quantile(times, 0.5).toFixed(1)}, ${quantile(times, 0.99).toFixed(1)} ms`,
    ]);
    await quiet(operator, quietMs, limitMs);
    rows.push(["heap and external in the end", await heapOf(operator.health)]);
    rows.push(["RSS in the end", `${usageOf(pid).rssMiB.toFixed(0)} MiB`]);
  } finally {
    await operator.child.stop();
    await services.close();
  }
  rows.push(...(await restart(setup, quietMs)));
  printTable(rows);
}

/** A second operator finds everything in place. */
async function restart(setup: Setup, quietMs: number): Promise<string[][]> {
  const startedAt = performance.now();
  const operator = await startOperator(setup);
  try {
    const lastAt = await quiet(operator, quietMs, 600_000);
    const { pid } = operator.child;
    return [
      ["restart: until the last request", `${((lastAt - startedAt) / 1000).toFixed(1)} s`],
      ["restart: requests", describe(new Map(), await requestsOf(operator.health))],
      ["restart: CPU, RSS", `${usageOf(pid).cpuSeconds.toFixed(1)} s, ${usageOf(pid).rssMiB.toFixed(0)} MiB`],
    ];
  } finally {
    await operator.child.stop();
  }
}

/** The API server to measure on: a given one, an embedded one in a process of its own, or a real one. */
async function serverFor(given: typeof DEFAULTS, folder: string): Promise<BenchServer> {
  const unknown = { address: "127.0.0.1", cpu: () => "", close: async () => undefined };
  if (given.kubeconfig !== "") return { ...unknown, kubeconfig: given.kubeconfig };
  if (given.server !== "embedded") return await startRealServer(given.server, folder);
  const args = ["--no-warnings", "--max-old-space-size=6000", ...nodeArguments("BENCH_SERVER_ARGS"), API_SERVER];
  const server = startNode(args);
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, String((await server.line(jsonLine))["kubeconfig"]), { mode: 0o600 });
  const cpu = (): string => `${usageOf(server.pid).cpuSeconds.toFixed(1)} s`;
  return { ...unknown, cpu, kubeconfig, close: () => server.stop() };
}

const bench: Bench = {
  description:
    "the operator with many services: cold, at rest, one edit, restart (--services --edits --rest --shape --kubeconfig --server=newest|older)",
  smallest: ["--services=5", "--edits=2", "--rest=0.5"],
  async run(args) {
    const given = readOptions(args, DEFAULTS);
    const isReal = given.server !== "embedded";
    if (isReal && !inNetwork()) return repeatInNetwork("reconcile", args);
    const folder = mkdtempSync(join(tmpdir(), "llmisvc-bench-"));
    const server = await serverFor(given, folder);
    try {
      const client = createKubeClient(await loadKubeConfig({ path: server.kubeconfig }));
      const options = {
        services: Number(given.services),
        edits: Number(given.edits),
        restMs: Number(given.rest) * 1000,
        shape: given.shape,
      };
      const image = join(folder, "image");
      await bundle(image, { programs: ["operator"] });
      const program = join(image, "app/cmd/operator/main.mjs");
      await measure({ client, program, ...server, server: given.server }, options);
      client.close();
    } finally {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

export default bench;
