import { type ZlibOptions, deflateRawSync, inflateRawSync } from "node:zlib";
import { MultiMap } from "./multi-map.ts";
import { type KubeObject, keyOf, type ObjectKey } from "./types.ts";

/** Values under which an object is found by an index; none leaves the object out of it. */
export type IndexFunction = (object: KubeObject) => readonly string[];

/** Index of namespaces. */
export const byNamespace: IndexFunction = (object) =>
  object.metadata.namespace === undefined ? [] : [object.metadata.namespace];

/** Index of the values of one label. */
export function byLabel(label: string): IndexFunction {
  return (object) => {
    const value = object.metadata.labels?.[label];
    return value === undefined ? [] : [value];
  };
}

/** Holds the values of a cache; what it gives back equals what it was given. */
interface ObjectStore {
  readonly size: number;
  get(key: string): KubeObject | undefined;
  set(key: string, object: KubeObject): unknown;
  delete(key: string): unknown;
  keys(): Iterable<string>;
}

/** Parsed objects that a packed store keeps at hand. */
const UNPACKED = 32;
/** Little memory for the compressor's state, as each object is compressed on its own; the window holds the dictionary. */
const PACKING = { level: 1, windowBits: 15, memLevel: 6 };

/**
 * Objects as compressed JSON: some hundredths of the memory of parsed ones, for some 50 µs at each reading of one that was
 * not read lately. The first object is the dictionary of all others, which are much like it.
 */
class PackedStore implements ObjectStore {
  /** One-byte strings: buffers would hold on to the whole block that the compressor wrote into. */
  readonly #packed = new Map<string, string>();
  readonly #recent = new Map<string, KubeObject>();
  #dictionary: Buffer | undefined;

  get size(): number {
    return this.#packed.size;
  }

  get(key: string): KubeObject | undefined {
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent;
    const packed = this.#packed.get(key);
    if (packed === undefined) return undefined;
    const text = inflateRawSync(Buffer.from(packed, "latin1"), this.#packing()).toString("utf8");
    const object = JSON.parse(text) as KubeObject;
    this.#keep(key, object);
    return object;
  }

  set(key: string, object: KubeObject): void {
    const text = JSON.stringify(object);
    this.#dictionary ??= Buffer.from(text);
    this.#packed.set(key, deflateRawSync(text, this.#packing()).toString("latin1"));
    this.#keep(key, object);
  }

  #packing(): ZlibOptions {
    return this.#dictionary === undefined ? PACKING : { ...PACKING, dictionary: this.#dictionary };
  }

  delete(key: string): void {
    this.#packed.delete(key);
    this.#recent.delete(key);
  }

  keys(): Iterable<string> {
    return this.#packed.keys();
  }

  #keep(key: string, object: KubeObject): void {
    this.#recent.delete(key);
    this.#recent.set(key, object);
    if (this.#recent.size > UNPACKED) this.#recent.delete(this.#recent.keys().next().value!);
  }
}

/** How a cache holds its objects. */
export interface CacheOptions {
  /** Compressed, for kinds with many large objects that are read seldom; default false. */
  readonly packed?: boolean;
}

/**
 * Objects of one kind by key (`namespace/name`), with secondary indexes that are kept up with every change. Objects are
 * shared with all readers: treat them as read-only.
 */
export class ObjectCache {
  readonly #objects: ObjectStore;
  readonly #indexes: ReadonlyMap<string, Index>;

  constructor(indexes: Readonly<Record<string, IndexFunction>> = {}, options: CacheOptions = {}) {
    this.#objects = options.packed === true ? new PackedStore() : new Map<string, KubeObject>();
    this.#indexes = new Map(Object.entries(indexes).map(([name, values]) => [name, new Index(values)]));
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey | string): KubeObject | undefined {
    return this.#objects.get(typeof key === "string" ? key : keyOf(key));
  }

  keys(): string[] {
    return [...this.#objects.keys()];
  }

  list(): KubeObject[] {
    return this.keys().map((key) => this.#objects.get(key)!);
  }

  /** Objects that the index files under `value`. Throws `Error` for an index that was not declared. */
  byIndex(name: string, value: string): readonly KubeObject[] {
    return this.keysByIndex(name, value).map((key) => this.#objects.get(key)!);
  }

  /** Keys of the objects that the index files under `value`. Throws as `byIndex`. */
  keysByIndex(name: string, value: string): readonly string[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`cache has no index ${JSON.stringify(name)}`);
    return [...index.keys(value)];
  }

  /** Stores an object; returns what it replaces. */
  set(object: KubeObject): KubeObject | undefined {
    const key = keyOf(object.metadata);
    const previous = this.#objects.get(key);
    for (const index of this.#indexes.values()) index.move(key, previous, object);
    this.#objects.set(key, object);
    return previous;
  }

  /** Removes an object; returns it. */
  delete(key: ObjectKey | string): KubeObject | undefined {
    const name = typeof key === "string" ? key : keyOf(key);
    const previous = this.#objects.get(name);
    for (const index of this.#indexes.values()) index.move(name, previous, undefined);
    this.#objects.delete(name);
    return previous;
  }
}

class Index {
  readonly #values: IndexFunction;
  readonly #keysByValue = new MultiMap();

  constructor(values: IndexFunction) {
    this.#values = values;
  }

  keys(value: string): Iterable<string> {
    return this.#keysByValue.of(value);
  }

  move(key: string, from: KubeObject | undefined, to: KubeObject | undefined): void {
    if (from !== undefined) for (const value of this.#values(from)) this.#keysByValue.delete(value, key);
    if (to !== undefined) for (const value of this.#values(to)) this.#keysByValue.add(value, key);
  }
}
