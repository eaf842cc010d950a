import { createHash, randomBytes } from "node:crypto";
import { type Logger, describeError } from "../telemetry/log.ts";
import type { Counter, Family, MetricsRegistry } from "../telemetry/metrics.ts";
import type { KubeClient } from "./client.ts";
import { EventQueue, type EventType, type WaitingEvent } from "./event-queue.ts";
import { KINDS } from "./resources.ts";
import { type KubeObject, isNotFound } from "./types.ts";

/** Events that are remembered so that a repetition raises their count: two of each of 5,000 services. */
const REMEMBERED = 10_000;
/** Longest message that the API takes (core v1 validation). */
const MAX_MESSAGE = 1024;
/** Least time between two logs of what was lost, ms. */
const TELL_MS = 60_000;

/** Writes Events about objects (core v1); never throws and never blocks. */
export interface EventRecorder {
  record(object: KubeObject, type: EventType, reason: string, message: string): void;
  /** Resolves when everything recorded so far is written or given up. */
  flush(): Promise<void>;
}

/** What a recorder needs of a client. */
type EventClient = Pick<KubeClient, "create" | "patch">;

/** Events that were lost, by type. */
export interface EventMetrics {
  readonly lost: Family<Counter>;
}

/** Declares the metrics of recorders. */
export function createEventMetrics(registry: MetricsRegistry): EventMetrics {
  const help = "Events that were not written: too many waited, or the API server refused them.";
  return { lost: registry.counter({ name: "llmisvc_events_lost_total", help, labels: ["type"] }) };
}

/** Parts of a recorder; `now` is the wall clock in ms. */
export interface RecorderOptions {
  /** `source.component` of the Events. */
  readonly component: string;
  readonly logger: Logger;
  readonly now?: (() => number) | undefined;
  readonly metrics?: EventMetrics | undefined;
}

/**
 * Creates a recorder. The same type, reason and message about the same object is one Event with a count. Events are written one
 * after the other, Warnings first; where too many wait, the oldest Normal ones are lost before any Warning.
 */
export function createEventRecorder(client: EventClient, options: RecorderOptions): EventRecorder {
  return new Recorder(client, options);
}

class Recorder implements EventRecorder {
  readonly #client: EventClient;
  readonly #options: RecorderOptions;
  readonly #known = new Map<string, { readonly name: string; count: number }>();
  readonly #queue = new EventQueue();
  /** What was lost since it was last told, and the last cause. */
  readonly #lost = { Normal: 0, Warning: 0 };
  #cause = "";
  #toldAtMs = -Infinity;
  #writing: Promise<void> | undefined;

  constructor(client: EventClient, options: RecorderOptions) {
    this.#client = client;
    this.#options = options;
  }

  record(object: KubeObject, type: EventType, reason: string, message: string): void {
    const event = { type, reason, message: message.slice(0, MAX_MESSAGE) };
    const text = JSON.stringify([object.metadata.uid, event]);
    const key = createHash("sha1").update(text).digest("base64");
    const lost = this.#queue.add(key, object, event, this.#now());
    if (lost !== undefined) this.#lose(lost, "too many waited for the API server");
    this.#writing ??= this.#writeAll();
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    for (let next = this.#queue.take(); next !== undefined; next = this.#queue.take())
      try {
        await this.#write(next);
      } catch (error) {
        this.#lose(next, describeError(error));
      }
    this.#writing = undefined;
    this.#tell();
  }

  #lose({ event: { type } }: WaitingEvent, cause: string): void {
    this.#lost[type]++;
    this.#cause = cause;
    this.#options.metrics?.lost.labels(type).inc();
    if (this.#toldAtMs === -Infinity) this.#toldAtMs = this.#now();
    if (this.#now() - this.#toldAtMs >= TELL_MS) this.#tell();
  }

  #tell(): void {
    const { Normal: normal, Warning: warning } = this.#lost;
    if (normal + warning === 0) return;
    this.#lost.Normal = 0;
    this.#lost.Warning = 0;
    this.#toldAtMs = this.#now();
    this.#options.logger.warn("Events not written", { normal, warning, error: this.#cause });
  }

  async #write({ key, object, event, firstMs, lastMs, times }: WaitingEvent): Promise<void> {
    const { namespace = "default", name, uid, resourceVersion } = object.metadata;
    const lastTimestamp = timestamp(lastMs);
    if (await this.#repeat(key, namespace, times, lastTimestamp)) return;
    const { apiVersion, kind } = object;
    const eventName = `${name}.${randomBytes(8).toString("hex")}`;
    await this.#client.create({
      apiVersion: KINDS.Event.apiVersion,
      kind: KINDS.Event.kind,
      metadata: { name: eventName, namespace },
      involvedObject: { apiVersion, kind, namespace, name, uid, resourceVersion },
      ...event,
      source: { component: this.#options.component },
      reportingComponent: this.#options.component,
      reportingInstance: "",
      firstTimestamp: timestamp(firstMs),
      lastTimestamp,
      count: times,
    });
    this.#remember(key, { name: eventName, count: times });
  }

  /** Counts a known Event up; false when it is new or its record is gone from the server. */
  async #repeat(key: string, namespace: string, times: number, lastTimestamp: string): Promise<boolean> {
    const known = this.#known.get(key);
    if (known === undefined) return false;
    this.#known.delete(key);
    const count = known.count + times;
    try {
      const patch = { type: "merge", body: { count, lastTimestamp } } as const;
      await this.#client.patch(KINDS.Event, { namespace, name: known.name }, patch);
      this.#remember(key, { name: known.name, count });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      this.#remember(key, known);
      throw error;
    }
  }

  /** The least recently written one makes room. */
  #remember(key: string, record: { readonly name: string; count: number }): void {
    if (this.#known.size >= REMEMBERED) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#known.set(key, record);
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }
}

const timestamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
