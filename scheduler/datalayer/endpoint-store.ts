import type { EndpointColumns, EndpointMetadata } from "../framework/endpoint.ts";
import type { EndpointListener } from "../framework/plugin.ts";
import type { EndpointSample } from "./sample.ts";

const INITIAL_CAPACITY = 16;
const NO_NAMES: ReadonlySet<string> = new Set();
/** What an endpoint is preferred for. */
const LOAD = ["waiting", "running", "kvUsage"] as const;
const LOAD_BLOCK = [...LOAD, "updatedAtMs"] as const;
const CACHE = ["cacheBlockSize", "cacheNumBlocks", "maxActiveModels"] as const;
const COLUMNS = [...LOAD, ...CACHE] as const;
/** Names of the configuration that become columns; more are a mistake in it. */
const MAX_ATTRIBUTES = 64;

interface Entry {
  metadata: EndpointMetadata;
  active: ReadonlySet<string>;
  waiting: ReadonlySet<string>;
}

/** What a change of the fleet did. */
export interface FleetChange {
  readonly added: number;
  readonly removed: number;
}

const keyOf = ({ namespace, name }: EndpointMetadata): string => `${namespace}/${name}`;
const podOf = ({ namespace, podName }: EndpointMetadata): string => `${namespace}/${podName}`;

/** The endpoints of the pool, as columns. */
export class EndpointStore implements EndpointColumns {
  /** `waiting`, `running`, `kvUsage` and `updatedAtMs` one after the other: what a decision keeps is one copy. */
  load: Float64Array = new Float64Array(0);
  waiting: Float64Array = this.load;
  running: Float64Array = this.load;
  kvUsage: Float64Array = this.load;
  updatedAtMs: Float64Array = this.load;
  cacheBlockSize: Float64Array = new Float64Array(INITIAL_CAPACITY);
  cacheNumBlocks: Float64Array = new Float64Array(INITIAL_CAPACITY);
  maxActiveModels: Float64Array = new Float64Array(INITIAL_CAPACITY);
  generation: Uint32Array = new Uint32Array(INITIAL_CAPACITY);
  /** Requests that were sent to the endpoint. */
  picks: Float64Array = new Float64Array(INITIAL_CAPACITY);
  readonly #attributes = new Map<string, Float64Array>();
  readonly #entries: (Entry | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #slots = new Map<string, number>();
  /** Keys of the endpoints of a pod. */
  readonly #pods = new Map<string, Set<string>>();
  readonly #listeners = new Set<EndpointListener>();
  #fleet: readonly (EndpointMetadata | undefined)[] | undefined;

  constructor() {
    this.#allocateLoad(INITIAL_CAPACITY);
  }

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

  /** Facts of all endpoints by slot as of now: a list that no later change touches. */
  fleet(): readonly (EndpointMetadata | undefined)[] {
    this.#fleet ??= this.#entries.map((entry) => entry?.metadata);
    return this.#fleet;
  }

  activeModels(slot: number): ReadonlySet<string> {
    return this.#entry(slot).active;
  }

  waitingModels(slot: number): ReadonlySet<string> {
    return this.#entry(slot).waiting;
  }

  attribute(name: string, slot: number): number {
    return this.#attributes.get(name)?.[slot] ?? NaN;
  }

  /** All values published under names of the configuration. */
  attributes(slot: number): readonly (readonly [name: string, value: number])[] {
    const all = Array.from(this.#attributes, ([name, column]) => [name, column[slot] ?? NaN] as const);
    return all.filter(([, value]) => !Number.isNaN(value));
  }

  /** Told of later changes. The returned function removes the listener. */
  subscribe(listener: EndpointListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Adds an endpoint or replaces its facts. A new address is a new endpoint. */
  upsert(metadata: EndpointMetadata): number {
    const key = keyOf(metadata);
    const known = this.#slots.get(key);
    if (known === undefined) return this.#add(key, metadata);
    const entry = this.#entry(known);
    if (entry.metadata.hostPort !== metadata.hostPort) {
      this.remove(key);
      return this.#add(key, metadata);
    }
    if (entry.metadata !== metadata) {
      entry.metadata = metadata;
      this.#fleet = undefined;
    }
    return known;
  }

  /** Removes the endpoint `namespace/name`, if present. */
  remove(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#forgetPod(key, this.metadata(slot));
    this.#slots.delete(key);
    this.#entries[slot] = undefined;
    this.#fleet = undefined;
    this.#free.push(slot);
    this.generation[slot] = (this.generation[slot] ?? 0) + 1;
    for (const listener of this.#listeners) listener.onEndpointRemoved(slot);
  }

  /** Makes the store hold exactly these endpoints. */
  replace(endpoints: readonly EndpointMetadata[]): FleetChange {
    return this.#exchange(new Set(this.#slots.keys()), endpoints);
  }

  /** Makes these the endpoints of one pod; none removes the pod. */
  replacePod(namespace: string, podName: string, endpoints: readonly EndpointMetadata[]): FleetChange {
    return this.#exchange(new Set(this.#pods.get(`${namespace}/${podName}`)), endpoints);
  }

  /** Takes the values of a scrape over, unless the slot's endpoint has changed since. */
  update(slot: number, generation: number, sample: EndpointSample, nowMs: number): void {
    const entry = this.#entries[slot];
    if (entry === undefined || this.generation[slot] !== generation) return;
    if (this.updatedAtMs[slot] === 0) for (const column of COLUMNS) this[column][slot] = 0;
    for (const column of COLUMNS) {
      const value = sample[column];
      if (value !== undefined) this[column][slot] = value;
    }
    entry.active = sample.activeModels ?? entry.active;
    entry.waiting = sample.waitingModels ?? entry.waiting;
    if (sample.attributes !== undefined)
      for (const [name, value] of sample.attributes) this.#setAttribute(name, slot, value);
    this.updatedAtMs[slot] = nowMs;
  }

  /** Counts a request that is sent to the endpoint. */
  picked(slot: number): void {
    this.picks[slot] = (this.picks[slot] ?? 0) + 1;
  }

  #entry(slot: number): Entry {
    const entry = this.#entries[slot];
    if (entry === undefined) throw new Error(`no endpoint in slot ${slot}`);
    return entry;
  }

  #exchange(previous: ReadonlySet<string>, endpoints: readonly EndpointMetadata[]): FleetChange {
    const kept = new Set(endpoints.map(keyOf));
    let removed = 0;
    for (const key of previous) {
      if (kept.has(key)) continue;
      this.remove(key);
      removed++;
    }
    for (const endpoint of endpoints) this.upsert(endpoint);
    return { added: [...kept].filter((key) => !previous.has(key)).length, removed };
  }

  #add(key: string, metadata: EndpointMetadata): number {
    const slot = this.#free.pop() ?? this.#entries.length;
    if (slot >= this.capacity) this.#grow();
    this.#entries[slot] = { metadata, active: NO_NAMES, waiting: NO_NAMES };
    this.#fleet = undefined;
    this.updatedAtMs[slot] = 0;
    this.#slots.set(key, slot);
    const pod = podOf(metadata);
    const ranks = this.#pods.get(pod);
    if (ranks === undefined) this.#pods.set(pod, new Set([key]));
    else ranks.add(key);
    for (const column of COLUMNS) this[column][slot] = 0;
    for (const column of LOAD) this[column][slot] = this.#mean(this[column]);
    this.picks[slot] = 0;
    for (const column of this.#attributes.values()) column[slot] = NaN;
    for (const listener of this.#listeners) listener.onEndpointAdded(slot);
    return slot;
  }

  /** Over the endpoints that have been read: until its first page a new endpoint passes for an average one. */
  #mean(column: Float64Array): number {
    let sum = 0;
    let count = 0;
    for (const slot of this.#slots.values()) {
      if (this.updatedAtMs[slot] === 0) continue;
      sum += column[slot] ?? 0;
      count++;
    }
    return count === 0 ? 0 : sum / count;
  }

  #forgetPod(key: string, metadata: EndpointMetadata): void {
    const ranks = this.#pods.get(podOf(metadata));
    ranks?.delete(key);
    if (ranks?.size === 0) this.#pods.delete(podOf(metadata));
  }

  #setAttribute(name: string, slot: number, value: number): void {
    let column = this.#attributes.get(name);
    if (column === undefined) {
      if (this.#attributes.size >= MAX_ATTRIBUTES) return;
      column = new Float64Array(this.capacity).fill(NaN);
      this.#attributes.set(name, column);
    }
    column[slot] = value;
  }

  #allocateLoad(length: number): void {
    const block = new Float64Array(length * LOAD_BLOCK.length);
    LOAD_BLOCK.forEach((column, index) => {
      const view = block.subarray(index * length, (index + 1) * length);
      view.set(this[column]);
      this[column] = view;
    });
    this.load = block;
  }

  #grow(): void {
    const length = this.capacity * 2;
    const longer = (column: Float64Array, rest: number): Float64Array => {
      const result = new Float64Array(length).fill(rest);
      result.set(column);
      return result;
    };
    for (const column of [...CACHE, "picks"] as const) this[column] = longer(this[column], 0);
    this.#allocateLoad(length);
    for (const [name, column] of this.#attributes) this.#attributes.set(name, longer(column, NaN));
    const generation = new Uint32Array(length);
    generation.set(this.generation);
    this.generation = generation;
  }
}
