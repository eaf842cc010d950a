import type { Logger } from "../telemetry/log.ts";
import { describeError, silentLogger, VERBOSITY } from "../telemetry/log.ts";
import type { Counter, Family, MetricsRegistry } from "../telemetry/metrics.ts";
import { exponentialDelay, jitter } from "./backoff.ts";
import { ObjectCache } from "./cache.ts";
import { type KubeClient, listPages, type Selection } from "./client.ts";
import { type Clock, pause, systemClock } from "./clock.ts";
import type { Resource } from "./resources.ts";
import { isGone, isNotFound, KubeError, type KubeObject, keyOf, type WatchEvent } from "./types.ts";

/** One change of the cache. `deleted` carries the last state known, which for a deletion noticed by a list may be old. */
export type ObjectChange =
  | { readonly type: "added"; readonly object: KubeObject }
  | { readonly type: "updated"; readonly object: KubeObject; readonly previous: KubeObject }
  | { readonly type: "deleted"; readonly object: KubeObject };

/** Told of every change after it is in the cache. What it throws is logged and costs nobody else an event. */
export type ChangeHandler = (change: ObjectChange) => void;

/** What a reflector takes. */
export interface ReflectorOptions {
  readonly client: Pick<KubeClient, "list" | "watch">;
  readonly resource: Resource;
  /** Default: all objects of the cluster. */
  readonly selection?: Selection;
  /** Where objects are kept; default is a cache without indexes. The reflector alone writes to it. */
  readonly cache?: ObjectCache;
  /**
   * Shrinks objects before they are kept, such as `withoutManagedFields`; not for objects that are written back or compared
   * by `kube/apply.ts`.
   */
  readonly transform?: (object: KubeObject) => KubeObject;
  /** Whether the kind may be absent: the cache is then empty and in sync, and the kind is looked for again. Default false. */
  readonly optional?: boolean;
  /**
   * How often to look for an absent kind when `retry` is called once its definition comes; default is the usual back-off of
   * up to 30 s.
   */
  readonly absentRetryMs?: number;
  /** Told when the server begins or ceases to serve the kind, the first answer included. */
  readonly onServed?: (served: boolean) => void;
  readonly logger?: Logger;
  readonly metrics?: ReflectorMetrics | undefined;
  readonly clock?: Clock;
}

/** Counts of what happened to watches, by kind. */
export interface ReflectorMetrics {
  readonly outcomes: Family<Counter>;
}

/** Declares the metrics of all reflectors of a process. */
export function createReflectorMetrics(registry: MetricsRegistry): ReflectorMetrics {
  const name = "kube_reflector_outcomes_total";
  const help = "Lists and ends of watches by kind and outcome.";
  return { outcomes: registry.counter({ name, help, labels: ["kind", "outcome"], maxSeries: 1000 }) };
}

/** Drops `metadata.managedFields`, often half of an object, which only those need who apply it. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

const BACKOFF = { baseMs: 800, maxMs: 30_000 };
/** A connection that held this long clears the back-off. */
const HEALTHY_MS = 120_000;
/** A watch that the server ended after at least this long is renewed at once. */
const ORDERLY_MS = 5_000;
const WATCH_MIN_SECONDS = 300;
/** Faults in a row without an event or bookmark between them after which only a new list is trusted. */
const MAX_STUCK_FAULTS = 3;

type Outcome = "ended" | "expired" | "absent" | "damaged" | "stalled" | "cut" | "refused" | "failed";

interface Attempt {
  readonly outcome: Outcome;
  readonly error?: unknown;
}

/**
 * Mirrors the objects of a selection into a cache by list and watch, and tells handlers of every change. It never gives up:
 * cut, stalled and damaged watches go on from the last version seen; an expired version leads to a new list, from which
 * missed deletions are made up. Changes of one object are told in order; states between two lists may be skipped.
 */
export class Reflector {
  readonly cache: ObjectCache;
  readonly #options: ReflectorOptions;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #handlers = new Set<ChangeHandler>();
  readonly #abort = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  #isSynced = false;
  #running: Promise<void> | undefined;
  #resourceVersion: string | undefined;
  #failures = 0;
  #stuckFaults = 0;
  #isServed: boolean | undefined;
  #wake: (() => void) | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.cache = options.cache ?? new ObjectCache();
    this.#logger = (options.logger ?? silentLogger).child({ kind: options.resource.kind });
    this.#clock = options.clock ?? systemClock;
    // Whoever waits gets the rejection; without a waiter it must not end the process.
    this.#synced.promise.catch(() => {});
  }

  /** Whether the cache has held a complete list once. */
  get synced(): boolean {
    return this.#isSynced;
  }

  /** Whether the server serves the kind, by the last list; undefined before the first answer. */
  get isServed(): boolean | undefined {
    return this.#isServed;
  }

  /** Looks for an absent kind at once, since its definition came. */
  retry(): void {
    this.#wake?.();
  }

  /** Resolves once `synced`; rejects when the reflector is closed before. */
  whenSynced(): Promise<void> {
    return this.#synced.promise;
  }

  /** Adds a handler, which is told of the present objects as `added` first. The returned function removes it. */
  subscribe(handler: ChangeHandler): () => void {
    this.#handlers.add(handler);
    for (const object of this.cache.list()) this.#tell(handler, { type: "added", object });
    return () => void this.#handlers.delete(handler);
  }

  /** Begins to list and watch; a second call does nothing. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the watch and waits until nothing runs. The cache keeps its objects. */
  async close(): Promise<void> {
    const reason = new Error("reflector closed");
    this.#abort.abort(reason);
    this.#synced.reject(reason);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const startedAt = this.#clock.now();
      const attempt = await this.#attempt();
      if (signal.aborted) return;
      this.#note(attempt);
      const { optional, absentRetryMs } = this.#options;
      const absent = attempt.outcome === "absent" && optional === true;
      if (absent && absentRetryMs !== undefined) await this.#pauseUntilWoken(absentRetryMs);
      else await this.#pause(this.#delay(attempt, this.#clock.now() - startedAt));
    }
  }

  /** A kind that is not there is looked for when its definition comes, and else seldom: that costs the server nothing. */
  async #pauseUntilWoken(limitMs: number): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await pause(this.#clock, limitMs, AbortSignal.any([woken.signal, this.#abort.signal]));
    this.#wake = undefined;
  }

  #pause(delayMs: number): Promise<void> {
    return delayMs <= 0 ? Promise.resolve() : pause(this.#clock, delayMs, this.#abort.signal);
  }

  /** A list where one is needed, then one watch until it ends. */
  async #attempt(): Promise<Attempt> {
    try {
      this.#resourceVersion ??= await this.#relist();
      await this.#watch(this.#resourceVersion);
      return { outcome: "ended" };
    } catch (error) {
      return this.#fault(error);
    }
  }

  #fault(error: unknown): Attempt {
    const outcome = classify(error);
    const stuck = ++this.#stuckFaults >= MAX_STUCK_FAULTS;
    if (outcome === "expired" || outcome === "absent" || stuck) this.#resourceVersion = undefined;
    if (stuck) this.#stuckFaults = 0;
    if (outcome === "absent") this.#setServed(false, this.#options.optional === true ? new Set() : undefined);
    return { outcome, error };
  }

  #note({ outcome, error }: Attempt): void {
    this.#count(outcome);
    if (error === undefined) return;
    const expected = outcome === "expired" || (outcome === "absent" && this.#options.optional === true);
    const fields = { outcome, error: describeError(error) };
    if (expected || this.#failures === 0) this.#logger.v(VERBOSITY.verbose, "watch interrupted", fields);
    else
      this.#logger.warn("watch keeps failing; the cache may be out of date", { ...fields, failures: this.#failures });
  }

  #count(outcome: Outcome | "listed"): void {
    this.#options.metrics?.outcomes.labels(this.#options.resource.kind, outcome).inc();
  }

  /** The first fault after a healthy time is repeated at once, so that a cut connection costs no time. */
  #delay({ outcome, error }: Attempt, lastedMs: number): number {
    const orderly = outcome === "ended" && lastedMs >= ORDERLY_MS;
    if (orderly || lastedMs >= HEALTHY_MS) this.#failures = 0;
    if (orderly) return 0;
    const failures = this.#failures++;
    const delay = failures === 0 ? 0 : jitter(exponentialDelay(BACKOFF, failures - 1), this.#clock.random());
    const asked = error instanceof KubeError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    return Math.max(delay, Math.min(asked, BACKOFF.maxMs));
  }

  /** Pages go into the cache as they come: all objects at once, parsed, would be many times its size. */
  async #relist(): Promise<string> {
    const { client, resource, selection } = this.#options;
    const present = new Set<string>();
    let version: string | undefined;
    for await (const page of listPages(client, resource, { ...selection, signal: this.#abort.signal })) {
      version ??= page.resourceVersion;
      for (const item of page.items) {
        present.add(keyOf(item.metadata));
        this.#store(item);
      }
    }
    this.#count("listed");
    this.#setServed(true, present);
    return version ?? "";
  }

  /** `present` are the keys of all objects where they are known. */
  #setServed(served: boolean, present: ReadonlySet<string> | undefined): void {
    const changed = this.#isServed !== served;
    this.#isServed = served;
    if (present !== undefined) this.#complete(present);
    if (changed) this.#options.onServed?.(served);
  }

  #complete(present: ReadonlySet<string>): void {
    for (const key of this.cache.keys()) if (!present.has(key)) this.#remove(key, undefined);
    this.#isSynced = true;
    this.#synced.resolve();
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { client, resource, selection } = this.#options;
    const timeoutSeconds = WATCH_MIN_SECONDS + Math.floor(this.#clock.random() * WATCH_MIN_SECONDS);
    const { signal } = this.#abort;
    for await (const event of client.watch(resource, { ...selection, resourceVersion, timeoutSeconds, signal }))
      this.#take(event);
  }

  #take(event: WatchEvent): void {
    const version = event.type === "BOOKMARK" ? event.resourceVersion : event.object.metadata.resourceVersion;
    if (event.type === "DELETED") this.#remove(keyOf(event.object.metadata), event.object);
    else if (event.type !== "BOOKMARK") this.#store(event.object);
    this.#resourceVersion = version ?? this.#resourceVersion;
    this.#stuckFaults = 0;
  }

  #store(received: KubeObject): void {
    const object = this.#shrink(received);
    const previous = this.cache.set(object);
    if (previous === undefined) return this.#tellAll({ type: "added", object });
    if (isReplacement(previous, object)) {
      this.#tellAll({ type: "deleted", object: previous });
      return this.#tellAll({ type: "added", object });
    }
    if (previous.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.#tellAll({ type: "updated", object, previous });
  }

  /** `last` is the final state that a DELETED event carries. */
  #remove(key: string, last: KubeObject | undefined): void {
    const previous = this.cache.delete(key);
    if (previous === undefined) return;
    this.#tellAll({ type: "deleted", object: last === undefined ? previous : this.#shrink(last) });
  }

  #shrink(object: KubeObject): KubeObject {
    return this.#options.transform?.(object) ?? object;
  }

  #tellAll(change: ObjectChange): void {
    for (const handler of this.#handlers) this.#tell(handler, change);
  }

  #tell(handler: ChangeHandler, change: ObjectChange): void {
    try {
      handler(change);
    } catch (error) {
      this.#logger.error("handler of a watch failed", { object: keyOf(change.object.metadata), error });
    }
  }
}

/** Creates a reflector and starts it. */
export function startReflector(options: ReflectorOptions): Reflector {
  const reflector = new Reflector(options);
  reflector.start();
  return reflector;
}

/** Whether an object was deleted and made anew under its old name while nobody watched. */
function isReplacement(previous: KubeObject, object: KubeObject): boolean {
  const { uid } = object.metadata;
  return uid !== undefined && previous.metadata.uid !== undefined && previous.metadata.uid !== uid;
}

function classify(error: unknown): Outcome {
  if (!(error instanceof KubeError)) return "failed";
  const { code, reason } = error;
  if (isGone(error)) return "expired";
  if (isNotFound(error)) return "absent";
  if (reason === "BrokenStream") return "damaged";
  if (code !== 0) return "refused";
  return reason === "Timeout" ? "stalled" : "cut";
}
