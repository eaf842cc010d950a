import { type KubeObject, type ObjectKey, keyOf } from "./types.ts";

/** Values under which an index finds an object. */
export type IndexFunction = (object: KubeObject) => readonly string[];

/** One change of a cached object: `undefined` before it existed, or after it is gone. */
export interface CacheChange {
  readonly previous: KubeObject | undefined;
  readonly current: KubeObject | undefined;
}

/** What a cache shows of one kind. */
export interface CacheReader {
  get(key: ObjectKey): KubeObject | undefined;
  /** All objects in the order they came. */
  list(): readonly KubeObject[];
  /** Objects that the index holds under the value. Throws for an index that was not declared. */
  byIndex(index: string, value: string): readonly KubeObject[];
  readonly size: number;
}

/** Objects of one kind by namespace and name, with secondary indexes. */
export class Cache implements CacheReader {
  readonly #objects = new Map<string, KubeObject>();
  readonly #indexes = new Map<string, { readonly values: IndexFunction; readonly keys: Map<string, Set<string>> }>();

  constructor(indexes: Readonly<Record<string, IndexFunction>> = {}) {
    for (const [name, values] of Object.entries(indexes)) this.#indexes.set(name, { values, keys: new Map() });
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey): KubeObject | undefined {
    return this.#objects.get(keyOf(key));
  }

  list(): readonly KubeObject[] {
    return [...this.#objects.values()];
  }

  byIndex(index: string, value: string): readonly KubeObject[] {
    const entry = this.#indexes.get(index);
    if (entry === undefined) throw new Error(`no index ${index}`);
    return [...(entry.keys.get(value) ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** Stores an object; undefined when it is the one already stored (same resourceVersion). */
  put(object: KubeObject): CacheChange | undefined {
    const key = keyOf(object.metadata);
    const previous = this.#objects.get(key);
    const version = object.metadata.resourceVersion;
    if (previous !== undefined && version !== undefined && previous.metadata.resourceVersion === version)
      return undefined;
    if (previous !== undefined) this.#unindex(key, previous);
    this.#objects.set(key, object);
    this.#index(key, object);
    return { previous, current: object };
  }

  /** Removes an object; undefined when there is none. */
  remove(key: ObjectKey): CacheChange | undefined {
    const text = keyOf(key);
    const previous = this.#objects.get(text);
    if (previous === undefined) return undefined;
    this.#objects.delete(text);
    this.#unindex(text, previous);
    return { previous, current: undefined };
  }

  #index(key: string, object: KubeObject): void {
    for (const { values, keys } of this.#indexes.values())
      for (const value of values(object)) {
        const found = keys.get(value);
        if (found === undefined) keys.set(value, new Set([key]));
        else found.add(key);
      }
  }

  #unindex(key: string, object: KubeObject): void {
    for (const { values, keys } of this.#indexes.values())
      for (const value of values(object)) {
        const found = keys.get(value);
        found?.delete(key);
        if (found?.size === 0) keys.delete(value);
      }
  }
}
