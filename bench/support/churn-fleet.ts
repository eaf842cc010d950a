import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createKubeClient, type HttpKubeClient } from "../../kube/http-client.ts";
import { startReflector } from "../../kube/reflector.ts";
import { KINDS } from "../../kube/resources.ts";
import { isAlreadyExists, isNotFound, type KubeObject } from "../../kube/types.ts";
import { type ApiServer, createApiServer } from "../../playground/apiserver/server.ts";
import { createRandom } from "../../simulator/engine/random.ts";
import { plainAccess } from "../../test/loopback.ts";
import { type Child, jsonLine, startNode } from "./child.ts";
import { NAMESPACE, createPool, poolPod, setReady } from "./pool.ts";

/** What may happen to an endpoint, and how often each in a hundred. */
const FATES = { delete: 60, unready: 15, crash: 10, stall: 15 } as const;

type Fate = keyof typeof FATES;
type State = "absent" | "ready" | "unready";

/** How often something happened. */
export type FateCounts = Record<Fate | "add", number>;

const POOL = "churn";
/** Between a crash and the moment when the cluster says so, and the length of a stall. */
const CRASH_NOTICED_MS = 400;
const STALL_MS = 3000;
const MIN_READY = 8;

/**
 * A pool of pods that come and go: each about once a second is deleted or made, turns unready, crashes before the cluster notices, or
 * stops telling its metrics. `goneAt` tells when a watch of its own saw an endpoint go.
 */
export class ChurningFleet {
  readonly kubeconfig: string;
  readonly poolName = POOL;
  readonly counts: FateCounts = { add: 0, delete: 0, unready: 0, crash: 0, stall: 0 };
  readonly #api: ApiServer;
  readonly #client: HttpKubeClient;
  readonly #servers: Child;
  readonly #port: number;
  readonly #states: State[];
  readonly #random = createRandom(11);
  /** Monotonic ms at which the watch saw an endpoint go; absent: it is ready, or never was. */
  readonly #goneAt = new Map<string, number>();
  readonly #closers: (() => Promise<void> | void)[] = [];
  #next = 0;

  private constructor(api: ApiServer, servers: Child, port: number, count: number, folder: string) {
    this.#api = api;
    this.#client = createKubeClient(plainAccess(api.url));
    this.#servers = servers;
    this.#port = port;
    this.#states = Array.from({ length: count }, () => "absent");
    this.kubeconfig = join(folder, "kubeconfig");
    writeFileSync(this.kubeconfig, api.kubeconfig());
  }

  /** Starts API server, model servers and all pods. */
  static async start(count: number, folder: string): Promise<ChurningFleet> {
    const servers = startNode([new URL("churn-servers.ts", import.meta.url).pathname, String(count)]);
    const { port } = await servers.line((line) => jsonLine(line) as { readonly port: number } | undefined);
    const fleet = new ChurningFleet(await createApiServer(), servers, port, count, folder);
    await createPool(fleet.#client, POOL, port);
    fleet.#watch();
    for (let index = 0; index < count; index++) await fleet.#add(index);
    return fleet;
  }

  /** Process of the model servers. */
  get serversPid(): number {
    return this.#servers.pid;
  }

  /** `ip:port` of an endpoint. */
  addressOf(index: number): string {
    return `127.89.${Math.floor(index / 250)}.${(index % 250) + 1}:${this.#port}`;
  }

  /** For how long the endpoint had been gone, as a watch sees it, at a monotonic time; 0 or less: it was there. */
  goneForMs(address: string, atMs: number): number {
    const since = this.#goneAt.get(address);
    return since === undefined ? 0 : atMs - since;
  }

  /** Begins to change the fleet: each endpoint in turn, all of them once a `periodMs`. */
  churn(periodMs: number): void {
    const every = periodMs / this.#states.length;
    let due = performance.now();
    let acting: Promise<void> = Promise.resolve();
    const timer = setInterval(
      () => {
        for (; due < performance.now(); due += every) acting = acting.then(() => this.#act());
      },
      Math.max(1, every / 2),
    );
    this.#closers.push(async () => {
      clearInterval(timer);
      await acting;
    });
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0)) await close();
    this.#client.close();
    await this.#servers.stop();
    await this.#api.close();
  }

  async #act(): Promise<void> {
    const index = this.#next++ % this.#states.length;
    if (this.#states[index] === "absent") return await this.#add(index);
    if (this.#states[index] === "unready") return await this.#setReady(index, true);
    if (this.#states.filter((state) => state === "ready").length <= MIN_READY) return;
    const fate = this.#fate();
    this.counts[fate]++;
    if (fate === "delete") await this.#delete(index);
    else if (fate === "unready") await this.#setReady(index, false);
    else if (fate === "stall") this.#stall(index);
    else this.#crash(index);
  }

  #fate(): Fate {
    let left = this.#random() * 100;
    for (const [fate, share] of Object.entries(FATES) as [Fate, number][]) if ((left -= share) < 0) return fate;
    return "delete";
  }

  async #add(index: number): Promise<void> {
    this.counts.add++;
    this.#server(index, "up");
    const [podIP] = this.addressOf(index).split(":");
    await this.#sent(() => this.#client.create(poolPod(POOL, nameOf(index))), isAlreadyExists);
    await this.#setReady(index, true, { phase: "Running", podIP });
  }

  async #delete(index: number): Promise<void> {
    this.#states[index] = "absent";
    const options = { gracePeriodSeconds: 0 };
    await this.#sent(
      () => this.#client.delete(KINDS.Pod, { namespace: NAMESPACE, name: nameOf(index) }, options),
      isNotFound,
    );
    this.#server(index, "down");
  }

  async #setReady(index: number, ready: boolean, status: object = {}): Promise<void> {
    if (ready) this.#server(index, "up");
    await this.#sent(() => setReady(this.#client, nameOf(index), ready, status));
    this.#states[index] = ready ? "ready" : "unready";
  }

  #stall(index: number): void {
    this.#server(index, "stalled");
    const timer = setTimeout(() => {
      if (this.#states[index] === "ready") this.#server(index, "up");
    }, STALL_MS);
    this.#closers.push(() => clearTimeout(timer));
  }

  #crash(index: number): void {
    this.#server(index, "down");
    this.#states[index] = "unready";
    const timer = setTimeout(() => {
      if (this.#states[index] === "unready") void this.#setReady(index, false).catch(() => undefined);
    }, CRASH_NOTICED_MS);
    this.#closers.push(() => clearTimeout(timer));
  }

  #server(index: number, mode: "up" | "stalled" | "down"): void {
    this.#servers.process.stdin?.write(`${index} ${mode}\n`);
  }

  #watch(): void {
    const pods = startReflector({ client: this.#client, resource: KINDS.Pod, selection: { namespace: NAMESPACE } });
    pods.subscribe(({ type, object }) => {
      const address = this.addressOf(Number(object.metadata.name.slice("pod-".length)));
      if (type !== "deleted" && isReady(object)) this.#goneAt.delete(address);
      else if (!this.#goneAt.has(address)) this.#goneAt.set(address, performance.now());
    });
    this.#closers.push(() => pods.close());
  }

  /** Sends a write, again where it failed: a kept connection may be closed just as it is used. It may have been done then. */
  async #sent(write: () => Promise<unknown>, isDone: (error: unknown) => boolean = () => false): Promise<void> {
    const once = (): Promise<unknown> =>
      write().catch((error: unknown) => {
        if (!isDone(error)) throw error;
      });
    await once().catch(once);
  }
}

const nameOf = (index: number): string => `pod-${index}`;

function isReady({ metadata, status }: KubeObject): boolean {
  const conditions = (status as { readonly conditions?: readonly { type: string; status: string }[] } | undefined)
    ?.conditions;
  const ready = conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ?? false;
  return ready && metadata.deletionTimestamp === undefined;
}
