import type { EndpointColumns, EndpointMetadata } from "../framework/endpoint.ts";
import type { EndpointListener } from "../framework/plugin.ts";

/** Values of one scrape; undefined where the page has none, which keeps the old value. */
export interface EndpointSample {
  waiting?: number | undefined;
  running?: number | undefined;
  kvUsage?: number | undefined;
  cacheBlockSize?: number | undefined;
  cacheNumBlocks?: number | undefined;
  maxActiveModels?: number | undefined;
  activeModels?: ReadonlySet<string> | undefined;
  waitingModels?: ReadonlySet<string> | undefined;
}

const INITIAL_CAPACITY = 16;
const NONE: ReadonlySet<string> = new Set();
const COLUMNS = ["waiting", "running", "kvUsage", "cacheBlockSize", "cacheNumBlocks", "maxActiveModels"] as const;

interface Entry {
  metadata: EndpointMetadata;
  active: ReadonlySet<string>;
  waiting: ReadonlySet<string>;
}

/** The endpoints of the pool, as columns. */
export class EndpointStore implements EndpointColumns {
  waiting: Float64Array = new Float64Array(INITIAL_CAPACITY);
  running: Float64Array = new Float64Array(INITIAL_CAPACITY);
  kvUsage: Float64Array = new Float64Array(INITIAL_CAPACITY);
  updatedAtMs: Float64Array = new Float64Array(INITIAL_CAPACITY);
  cacheBlockSize: Float64Array = new Float64Array(INITIAL_CAPACITY);
  cacheNumBlocks: Float64Array = new Float64Array(INITIAL_CAPACITY);
  maxActiveModels: Float64Array = new Float64Array(INITIAL_CAPACITY);
  generation: Uint32Array = new Uint32Array(INITIAL_CAPACITY);
  readonly #entries: (Entry | undefined)[] = [];
  readonly #slots = new Map<string, number>();
  readonly #listeners = new Set<EndpointListener>();

  get capacity(): number {
    return this.generation.length;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Slots in use, in the order of arrival. */
  slots(): Iterable<number> {
    return this.#slots.values();
  }

  metadata(slot: number): EndpointMetadata {
    return this.#entry(slot).metadata;
  }

  activeModels(slot: number): ReadonlySet<string> {
    return this.#entry(slot).active;
  }

  waitingModels(slot: number): ReadonlySet<string> {
    return this.#entry(slot).waiting;
  }

  attribute(): number {
    return NaN;
  }

  /** Told of later changes. The returned function removes the listener. */
  subscribe(listener: EndpointListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Adds an endpoint or replaces its facts. A new address is a new endpoint. */
  upsert(metadata: EndpointMetadata): number {
    const key = `${metadata.namespace}/${metadata.name}`;
    const known = this.#slots.get(key);
    if (known !== undefined && this.metadata(known).hostPort === metadata.hostPort) {
      this.#entry(known).metadata = metadata;
      return known;
    }
    if (known !== undefined) this.remove(key);
    return this.#add(key, metadata);
  }

  /** Removes the endpoint `namespace/name`, if present. */
  remove(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#entries[slot] = undefined;
    this.generation[slot] = (this.generation[slot] ?? 0) + 1;
    for (const listener of this.#listeners) listener.onEndpointRemoved(slot);
  }

  /** Makes the store hold exactly these endpoints. */
  replace(endpoints: readonly EndpointMetadata[]): void {
    const keys = new Set(endpoints.map(({ namespace, name }) => `${namespace}/${name}`));
    for (const key of this.#slots.keys()) if (!keys.has(key)) this.remove(key);
    for (const endpoint of endpoints) this.upsert(endpoint);
  }

  /** Takes the values of a scrape over, unless the slot's endpoint has changed since. */
  update(slot: number, generation: number, sample: EndpointSample, nowMs: number): void {
    const entry = this.#entries[slot];
    if (entry === undefined || this.generation[slot] !== generation) return;
    for (const column of COLUMNS) {
      const value = sample[column];
      if (value !== undefined) this[column][slot] = value;
    }
    entry.active = sample.activeModels ?? entry.active;
    entry.waiting = sample.waitingModels ?? entry.waiting;
    this.updatedAtMs[slot] = nowMs;
  }

  #entry(slot: number): Entry {
    const entry = this.#entries[slot];
    if (entry === undefined) throw new Error(`no endpoint in slot ${slot}`);
    return entry;
  }

  #add(key: string, metadata: EndpointMetadata): number {
    const free = this.#entries.findIndex((entry) => entry === undefined);
    const slot = free === -1 ? this.#entries.length : free;
    if (slot >= this.capacity) this.#grow();
    this.#entries[slot] = { metadata, active: NONE, waiting: NONE };
    this.#slots.set(key, slot);
    for (const column of COLUMNS) this[column][slot] = 0;
    this.updatedAtMs[slot] = 0;
    for (const listener of this.#listeners) listener.onEndpointAdded(slot);
    return slot;
  }

  #grow(): void {
    const length = this.capacity * 2;
    for (const column of [...COLUMNS, "updatedAtMs"] as const) {
      const longer = new Float64Array(length);
      longer.set(this[column]);
      this[column] = longer;
    }
    const generation = new Uint32Array(length);
    generation.set(this.generation);
    this.generation = generation;
  }
}
