import type { IncomingMessage, ServerResponse } from "node:http";
import { createRandom } from "../simulator/engine/random.ts";
import type { KubeObject } from "../kube/types.ts";
import { listenOnLoopback, type LoopbackServer } from "./loopback.ts";

/** Ways in which a watch or a list is spoilt. */
export const FAULTS = [
  "cut",
  "cut-within-line",
  "stall",
  "gone",
  "damaged-line",
  "damaged-bytes",
  "clean-end",
  "refused",
  "throttled",
  "dropped",
  "bookmark-then-compaction",
] as const;

/** One way. */
export type Fault = (typeof FAULTS)[number];

/** Ways that never force a new list. */
export const RESUMABLE_FAULTS: readonly Fault[] = FAULTS.filter((fault) => fault !== "gone");

/** A change that the server made. */
export interface HistoryEntry {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
}

/** Name of the pod that is created when the last fault is over. */
export const LAST_POD = "last";

const NAMES = 40;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An API server with pods that change on their own, whose every watch meets a fault until `faultCount` are used up. */
export class FaultyApiServer {
  readonly objects = new Map<string, KubeObject>();
  readonly history: HistoryEntry[] = [];
  readonly faultsMet = new Map<string, number>();
  readonly #random: () => number;
  readonly #faults: readonly Fault[];
  #left: number;
  #version = 1;
  /** Oldest version from which a watch can start. */
  #compacted = 0;
  #server: LoopbackServer | undefined;

  constructor(options: { seed: number; faultCount: number; faults?: readonly Fault[] }) {
    this.#random = createRandom(options.seed);
    this.#faults = options.faults ?? FAULTS;
    this.#left = options.faultCount;
  }

  async start(): Promise<string> {
    for (let count = 0; count < NAMES; count++) this.#mutate();
    this.#server = await listenOnLoopback((request, response) => void this.#answer(request, response));
    return this.#server.url;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const query = new URL(request.url ?? "", "http://localhost").searchParams;
    if (query.get("watch") === "true") await this.#watch(Number(query.get("resourceVersion")), response);
    else this.#list(query, response);
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  /** Creates, changes or deletes a pod; deletes and re-creates are as likely as changes. */
  #mutate(name = `pod-${this.#int(NAMES)}`): HistoryEntry {
    const version = ++this.#version;
    const live = this.objects.get(name);
    const uid = live?.metadata.uid ?? `uid-${version}`;
    const metadata = { name, namespace: "default", uid, resourceVersion: String(version), annotations: { é: "→" } };
    const object = { apiVersion: "v1", kind: "Pod", metadata, spec: { round: version } };
    const type = live === undefined ? "ADDED" : this.#random() < 0.4 ? "DELETED" : "MODIFIED";
    if (type === "DELETED") this.objects.delete(name);
    else this.objects.set(name, object);
    const entry = { version, type, object } as const;
    this.history.push(entry);
    return entry;
  }

  #list(query: URLSearchParams, response: ServerResponse): void {
    const roll = this.#random();
    if (this.#left > 0 && roll < 0.1) return void response.socket?.destroy();
    if (this.#left > 0 && roll < 0.2) return status(response, 500, "InternalError");
    const token = query.get("continue");
    const page = this.#page(token, Number(query.get("limit")));
    if (page === undefined) return status(response, 410, "Expired");
    const body = JSON.stringify({ kind: "PodList", apiVersion: "v1", ...page });
    if (this.#left > 0 && roll < 0.3) {
      response.writeHead(200, { "content-length": Buffer.byteLength(body) });
      response.write(body.slice(0, body.length / 2), () => response.socket?.destroy());
    } else response.end(body);
  }

  readonly #snapshots = new Map<string, readonly KubeObject[]>();

  /** Pages of one snapshot; some continue tokens have expired when they come back. */
  #page(token: string | null, limit: number): { metadata: object; items: readonly object[] } | undefined {
    const [version = String(this.#version), start = "0"] = token?.split(":") ?? [];
    if (token === null) this.#snapshots.set(version, [...this.objects.values()]);
    else if (this.#left > 0 && this.#random() < 0.1) return undefined;
    const items = this.#snapshots.get(version) ?? [];
    const end = Number(start) + limit;
    const next = end < items.length ? { continue: `${version}:${end}` } : {};
    const bare = items.slice(Number(start), end).map(({ metadata, spec }) => ({ metadata, spec: spec as object }));
    return { metadata: { resourceVersion: version, ...next }, items: bare };
  }

  async #watch(from: number, response: ServerResponse): Promise<void> {
    const fault = this.#left > 0 ? this.#faults[this.#int(this.#faults.length)] : undefined;
    if (fault !== undefined) this.#note(fault);
    if (fault === "refused") return status(response, 500, "InternalError");
    if (fault === "throttled") return status(response, 429, "TooManyRequests");
    if (fault === "dropped") return void response.socket?.destroy();
    if (from < this.#compacted) return status(response, 410, "Expired");
    response.writeHead(200, { "content-type": "application/json" });
    for (const entry of this.history) if (entry.version > from) response.write(line(entry));
    if (fault === undefined) return void response.write(line(this.#mutate(LAST_POD)));
    for (let count = this.#int(6) + 1; count > 0; count--) {
      response.write(line(this.#mutate()));
      if (this.#random() < 0.3) await turn();
    }
    this.#spoil(fault, response);
  }

  #note(fault: Fault): void {
    this.#left--;
    this.faultsMet.set(fault, (this.faultsMet.get(fault) ?? 0) + 1);
  }

  #spoil(fault: Fault, response: ServerResponse): void {
    const cut = (): unknown => response.socket?.destroy();
    switch (fault) {
      case "cut":
        return void response.write("", cut);
      case "cut-within-line": {
        const text = line(this.#mutate());
        return void response.write(text.slice(0, this.#int(text.length - 1) + 1), cut);
      }
      case "stall":
        return;
      case "gone":
        for (let count = 0; count < 5; count++) this.#mutate();
        this.#compacted = this.#version;
        return void response.end(`${JSON.stringify({ type: "ERROR", object: statusBody(410, "Expired") })}\n`);
      case "damaged-line":
        return void response.write(line(this.#mutate()).replace('"metadata":', '"metadata"'));
      case "damaged-bytes":
        return void response.write(Buffer.from(line(this.#mutate()), "utf8").fill(0xff, 30, 33));
      case "bookmark-then-compaction":
        this.#version += 100;
        this.#compacted = this.#version;
        return void response.end(bookmark(this.#version));
      case "clean-end":
      case "refused":
      case "throttled":
      case "dropped":
        return void response.end();
    }
  }
}

function line({ type, object }: HistoryEntry): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function bookmark(version: number): string {
  const object = { kind: "Pod", apiVersion: "v1", metadata: { resourceVersion: String(version) } };
  return `${JSON.stringify({ type: "BOOKMARK", object })}\n`;
}

const statusBody = (code: number, reason: string): object => ({ kind: "Status", status: "Failure", code, reason });

function status(response: ServerResponse, code: number, reason: string): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify(statusBody(code, reason)));
}
