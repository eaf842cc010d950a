import { type Logger, describeError, VERBOSITY } from "../telemetry/log.ts";
import { Cache, type CacheChange, type CacheReader, type IndexFunction } from "./cache.ts";
import { type KubeClient, type Selection, listAll } from "./client.ts";
import { type Clock, pause, systemClock } from "./clock.ts";
import type { Resource } from "./resources.ts";
import { type KubeObject, isGone, isNotFound, keyOf } from "./types.ts";

/** First wait after a failure, doubled with each further one, half of it random (client-go's reflector). */
const BACKOFF_MS = 800;
const MAX_BACKOFF_MS = 30_000;
/** A watch that lived this long makes the next failure the first again. */
const HEALTHY_MS = 120_000;
/** Each watch asks the server to end it after 300 to 600 s, so that a half-dead connection does not last. */
const WATCH_SECONDS = 300;

/** How the attempts to follow a kind ended, counted. */
export interface ReflectorCounts {
  lists: number;
  watches: number;
  failures: number;
  expired: number;
}

/** What a reflector follows, and who is told. */
export interface ReflectorOptions extends Selection {
  readonly indexes?: Readonly<Record<string, IndexFunction>> | undefined;
  /** Called once for each change of the cache, in order. What it throws is logged and costs nothing else. */
  readonly onChange?: ((change: CacheChange) => void) | undefined;
  readonly logger: Logger;
  readonly clock?: Clock | undefined;
  readonly backoffMs?: number | undefined;
}

/** A local copy of the objects of one kind that follows the API server until it is closed. */
export interface Reflector {
  readonly resource: Resource;
  readonly cache: CacheReader;
  readonly counts: Readonly<ReflectorCounts>;
  /** Resolves when the first list is in; for a kind that is not served, when that is known. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  /** Resolves when nothing is running any more. */
  close(): Promise<void>;
}

/**
 * Follows a kind: list, then watch from the list's resourceVersion; cut, stalled or damaged watches go on from the last
 * version seen, expired ones start again with a list whose missing objects are deletions. A kind that is not served counts
 * as empty and is looked for again.
 */
export function startReflector(client: KubeClient, resource: Resource, options: ReflectorOptions): Reflector {
  return new ListWatch(client, resource, options);
}

class ListWatch implements Reflector {
  readonly resource: Resource;
  readonly counts: ReflectorCounts = { lists: 0, watches: 0, failures: 0, expired: 0 };
  readonly #client: KubeClient;
  readonly #options: ReflectorOptions;
  readonly #clock: Clock;
  readonly #cache: Cache;
  readonly #stop = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  readonly #loop: Promise<void>;
  /** Version to watch from; undefined: list first. */
  #version: string | undefined;
  #failuresInRow = 0;
  #synced = false;

  constructor(client: KubeClient, resource: Resource, options: ReflectorOptions) {
    this.#client = client;
    this.resource = resource;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#cache = new Cache(options.indexes);
    this.#loop = this.#run();
  }

  get cache(): CacheReader {
    return this.#cache;
  }

  get synced(): Promise<void> {
    return this.#ready.promise;
  }

  get hasSynced(): boolean {
    return this.#synced;
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the reflector was closed"));
    this.#ready.resolve();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const startedAt = this.#clock.now();
      try {
        this.#version ??= await this.#list();
        await this.#watch(this.#version);
        if (this.#clock.now() - startedAt >= this.#backoffMs) this.#failuresInRow = 0;
        else await this.#wait();
      } catch (error) {
        if (signal.aborted) return;
        if (this.#clock.now() - startedAt >= HEALTHY_MS) this.#failuresInRow = 0;
        this.#failed(error);
        await this.#wait();
      }
    }
  }

  get #backoffMs(): number {
    return this.#options.backoffMs ?? BACKOFF_MS;
  }

  async #wait(): Promise<void> {
    const delayMs = Math.min(MAX_BACKOFF_MS, this.#backoffMs * 2 ** this.#failuresInRow++);
    await pause(this.#clock, delayMs * (0.5 + this.#clock.random()), this.#stop.signal);
  }

  #failed(error: unknown): void {
    if (isGone(error)) {
      this.counts.expired++;
      this.#version = undefined;
      return;
    }
    this.counts.failures++;
    if (isNotFound(error)) {
      this.#replace([]);
      this.#version = undefined;
    }
    this.#options.logger.v(VERBOSITY.verbose, "following again", {
      kind: this.resource.kind,
      apiVersion: this.resource.apiVersion,
      error: describeError(error),
    });
  }

  get #selection(): Selection & { signal: AbortSignal } {
    const { namespace, labelSelector, fieldSelector, metadataOnly } = this.#options;
    return { namespace, labelSelector, fieldSelector, metadataOnly, signal: this.#stop.signal };
  }

  async #list(): Promise<string> {
    this.counts.lists++;
    const { items, resourceVersion } = await listAll(this.#client, this.resource, this.#selection);
    this.#replace(items);
    return resourceVersion;
  }

  #replace(items: readonly KubeObject[]): void {
    const present = new Set(items.map((item) => keyOf(item.metadata)));
    for (const object of this.#cache.list())
      if (!present.has(keyOf(object.metadata))) this.#tell(this.#cache.remove(object.metadata));
    for (const item of items) this.#store(item);
    this.#synced = true;
    this.#ready.resolve();
  }

  async #watch(resourceVersion: string): Promise<void> {
    this.counts.watches++;
    const timeoutSeconds = Math.round(WATCH_SECONDS * (1 + this.#clock.random()));
    for await (const event of this.#client.watch(this.resource, {
      ...this.#selection,
      resourceVersion,
      timeoutSeconds,
    })) {
      if (this.#stop.signal.aborted) return;
      if (event.type === "BOOKMARK") this.#version = event.resourceVersion;
      else this.#take(event.type, event.object);
      this.#failuresInRow = 0;
    }
  }

  #take(type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void {
    if (type === "DELETED") this.#tell(this.#cache.remove(object.metadata));
    else this.#store(object);
    this.#version = object.metadata.resourceVersion ?? this.#version;
  }

  #store(object: KubeObject): void {
    this.#tell(this.#cache.put(object));
  }

  #tell(change: CacheChange | undefined): void {
    if (change === undefined) return;
    try {
      this.#options.onChange?.(change);
    } catch (error) {
      this.#options.logger.error("handling a change failed", { kind: this.resource.kind, error });
    }
  }
}
