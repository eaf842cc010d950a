import { afterEach, expect, test } from "@jest/globals";
import type { KubeClient, ListOptions, WatchOptions } from "../../kube/client.ts";
import type { Clock } from "../../kube/clock.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { KubeError, type KubeObject, type WatchEvent } from "../../kube/types.ts";
import { silentLogger } from "../../telemetry/log.ts";
import type { Discovery } from "./discovery.ts";
import { EndpointStore } from "./endpoint-store.ts";
import { startPoolWatch, startSelectorWatch } from "./pool-watch.ts";

const NS = "ns";

/** Lists and watches of a few objects, selected by name and by labels. */
class Cluster implements Pick<KubeClient, "list" | "watch"> {
  readonly served = new Set<string>([KINDS.InferencePool.apiVersion, KINDS.Pod.apiVersion]);
  readonly #objects = new Map<string, KubeObject>();
  readonly #events: WatchEvent[] = [];
  #wake = Promise.withResolvers<void>();

  put(object: KubeObject): void {
    const key = `${object.apiVersion}/${object.metadata.name}`;
    const known = this.#objects.has(key);
    const metadata = { ...object.metadata, namespace: NS, resourceVersion: String(this.#events.length + 1) };
    const stored = { ...object, metadata };
    this.#objects.set(key, stored);
    this.#tell({ type: known ? "MODIFIED" : "ADDED", object: stored });
  }

  delete(apiVersion: string, name: string): void {
    const object = this.#objects.get(`${apiVersion}/${name}`)!;
    this.#objects.delete(`${apiVersion}/${name}`);
    this.#tell({ type: "DELETED", object });
  }

  async list(resource: Resource, options: ListOptions = {}) {
    if (!this.served.has(resource.apiVersion))
      throw new KubeError({ code: 404, reason: "NotFound", message: "absent" });
    const items = [...this.#objects.values()].filter((object) => selects(resource, options, object));
    return { items, resourceVersion: String(this.#events.length) };
  }

  async *watch(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent> {
    for (let at = Number(options.resourceVersion); !isAborted(options); at++) {
      while (at >= this.#events.length) {
        const ended = new Promise<void>((resolve) => options.signal?.addEventListener("abort", () => resolve()));
        await Promise.race([this.#wake.promise, ended]);
        if (isAborted(options)) return;
      }
      const event = this.#events[at]!;
      if (event.type !== "BOOKMARK" && selects(resource, options, event.object)) yield event;
    }
  }

  #tell(event: WatchEvent): void {
    this.#events.push(event);
    const wake = this.#wake;
    this.#wake = Promise.withResolvers<void>();
    wake.resolve();
  }
}

const isAborted = ({ signal }: WatchOptions): boolean => signal?.aborted ?? false;

function selects(resource: Resource, { labelSelector, fieldSelector }: ListOptions, object: KubeObject): boolean {
  const terms = (labelSelector ?? "").split(",").filter((term) => term !== "");
  return (
    object.apiVersion === resource.apiVersion &&
    terms.every((term) => object.metadata.labels?.[term.split("=")[0]!] === term.split("=")[1]) &&
    (fieldSelector === undefined || fieldSelector === `metadata.name=${object.metadata.name}`)
  );
}

const pool = (ports: readonly number[], app = "a"): KubeObject => ({
  ...KINDS.InferencePool,
  metadata: { name: "p" },
  spec: { selector: { matchLabels: { app } }, targetPorts: ports.map((number) => ({ number })) },
});
const oldPool = (port: number): KubeObject => ({
  ...KINDS.InferencePoolV1Alpha2,
  metadata: { name: "p" },
  spec: { selector: { app: "a" }, targetPortNumber: port },
});

interface PodFacts {
  readonly ip?: string;
  readonly ready?: boolean;
  readonly app?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly deleting?: boolean;
}

function pod(
  name: string,
  { ip = "10.0.0.1", ready = true, app = "a", annotations, deleting }: PodFacts = {},
): KubeObject {
  return {
    ...KINDS.Pod,
    metadata: {
      name,
      labels: { app },
      ...(annotations === undefined ? {} : { annotations }),
      ...(deleting === true ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    status: { podIP: ip, hostIP: "10.9.9.9", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
  };
}

/** Back-off takes no time. */
const clock: Clock = {
  now: () => performance.now(),
  random: () => 0,
  after: (_, run) => {
    const handle = setImmediate(run);
    return () => clearImmediate(handle);
  },
};

const open: Discovery[] = [];
afterEach(async () => {
  for (const discovery of open.splice(0)) await discovery.close();
});

function setUp(cluster: Cluster, group = "inference.networking.k8s.io", metricsPort = 0) {
  const store = new EndpointStore();
  const options = { client: cluster, namespace: NS, store, metricsPort, logger: silentLogger, clock };
  const discovery = startPoolWatch(options, { name: "p", group });
  open.push(discovery);
  return { store, discovery };
}

const addresses = (store: EndpointStore): string[] =>
  Array.from(store.slots(), (slot) => store.metadata(slot).hostPort).sort();

async function becomes(read: () => unknown, expected: unknown): Promise<void> {
  for (let turn = 0; turn < 500 && JSON.stringify(read()) !== JSON.stringify(expected); turn++)
    await new Promise((resolve) => setImmediate(resolve));
  expect(read()).toEqual(expected);
}

test("ranks of ready pods come and go", async () => {
  const cluster = new Cluster();
  const { store, discovery } = setUp(cluster);
  await becomes(() => discovery.known(), false);
  cluster.put(pod("a"));
  cluster.put(pool([8000, 8001]));
  await becomes(() => addresses(store), ["10.0.0.1:8000", "10.0.0.1:8001"]);
  expect(discovery.known()).toBe(true);
  cluster.put(pod("b", { ip: "fd00::1" }));
  cluster.put(pod("c", { ip: "10.0.0.3", ready: false }));
  cluster.put(pod("d", { ip: "" }));
  cluster.put(pod("e", { ip: "10.0.0.5", app: "other" }));
  await becomes(() => addresses(store), ["10.0.0.1:8000", "10.0.0.1:8001", "[fd00::1]:8000", "[fd00::1]:8001"]);
  cluster.put(pod("a", { deleting: true }));
  await becomes(() => addresses(store), ["[fd00::1]:8000", "[fd00::1]:8001"]);
  cluster.delete("v1", "b");
  cluster.put(pod("c", { ip: "10.0.0.3" }));
  await becomes(() => addresses(store), ["10.0.0.3:8000", "10.0.0.3:8001"]);
  const [slot = -1] = store.slots();
  expect(store.metadata(slot)).toMatchObject({ name: "c-rank-0", podName: "c", rank: 0, nodeAddress: "10.9.9.9" });
});

test.each([
  ["8001", ["10.0.0.1:8001"]],
  [" 8000 , 8001", ["10.0.0.1:8000", "10.0.0.1:8001"]],
  ["9999,x,-1", []],
])("active ports %p", async (value, expected) => {
  const cluster = new Cluster();
  cluster.put(pool([8000, 8001]));
  for (const name of ["llm-d.ai/active-ports", "inference.networking.k8s.io/active-ports"]) {
    cluster.put(pod("a", { annotations: { [name]: value } }));
    const { store, discovery } = setUp(cluster);
    await becomes(() => discovery.known(), true);
    await becomes(() => addresses(store), expected);
  }
});

test("a change of ports keeps the pods, one of the selector keeps the old ones until the new are known", async () => {
  const cluster = new Cluster();
  cluster.put(pool([8000]));
  cluster.put(pod("a"));
  cluster.put(pod("b", { ip: "10.0.0.2", app: "b" }));
  const { store } = setUp(cluster);
  let emptied = 0;
  store.subscribe({ onEndpointAdded: () => {}, onEndpointRemoved: () => void (emptied += store.size === 0 ? 1 : 0) });
  await becomes(() => addresses(store), ["10.0.0.1:8000"]);
  cluster.put(pool([8000, 9000]));
  await becomes(() => addresses(store), ["10.0.0.1:8000", "10.0.0.1:9000"]);
  expect(emptied).toBe(0);
  cluster.put(pool([9000], "b"));
  await becomes(() => addresses(store), ["10.0.0.2:9000"]);
});

test("both versions of the pool, the group asked for first; one appears later, one goes", async () => {
  const cluster = new Cluster();
  cluster.put(pod("a"));
  cluster.put(pool([8000]));
  const current = setUp(cluster);
  const former = setUp(cluster, "inference.networking.x-k8s.io");
  await becomes(() => [addresses(current.store), addresses(former.store)], [["10.0.0.1:8000"], ["10.0.0.1:8000"]]);
  cluster.put(oldPool(7000));
  cluster.served.add(KINDS.InferencePoolV1Alpha2.apiVersion);
  await becomes(() => [addresses(current.store), addresses(former.store)], [["10.0.0.1:8000"], ["10.0.0.1:7000"]]);
  cluster.delete(KINDS.InferencePool.apiVersion, "p");
  await becomes(() => addresses(current.store), ["10.0.0.1:7000"]);
  cluster.delete(KINDS.InferencePoolV1Alpha2.apiVersion, "p");
  await becomes(() => addresses(current.store), []);
});

test("a port of metrics counts for pools of one port", async () => {
  const cluster = new Cluster();
  cluster.put(pool([8000]));
  cluster.put(pod("a"));
  const { store } = setUp(cluster, undefined, 9400);
  const metrics = (): string[] => Array.from(store.slots(), (slot) => store.metadata(slot).metricsHost);
  await becomes(metrics, ["10.0.0.1:9400"]);
  cluster.put(pool([8000, 8001]));
  await becomes(metrics, ["10.0.0.1:8000", "10.0.0.1:8001"]);
});

test("pods by selector, without a pool", async () => {
  const cluster = new Cluster();
  const store = new EndpointStore();
  const options = { client: cluster, namespace: NS, store, metricsPort: 0, logger: silentLogger, clock };
  const discovery = startSelectorWatch(options, "app=a", [8000]);
  open.push(discovery);
  expect(discovery.known()).toBe(true);
  cluster.put(pod("a"));
  await becomes(() => addresses(store), ["10.0.0.1:8000"]);
});
