import type { JsonObject } from "../../crds/schema/types.ts";
import { expired } from "./errors.ts";
import type { Journal } from "./journal.ts";
import { ensureMeta } from "./objects.ts";

/** One change, in the storage version of its kind. `object` of a DELETED event is the last state with the delete's version. */
export interface Change {
  readonly version: number;
  /** `group/plural`, `/pods` for the core group. */
  readonly resource: string;
  /** `namespace/name`, or `name`. */
  readonly key: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: JsonObject;
  readonly previous: JsonObject | undefined;
}

/** Changes kept for watches that resume; older ones answer 410. */
const HISTORY_LIMIT = 10_000;
/** The history is cut in blocks, so that a write costs no shift of the whole. */
const HISTORY_SLACK = 2_000;

/**
 * All objects, with one version counter over all kinds. Objects are never changed in place: what is read may be kept.
 * Watchers are told synchronously, in the order of versions.
 */
export class Store {
  readonly #resources = new Map<string, Map<string, JsonObject>>();
  readonly #listeners = new Set<(change: Change) => void>();
  readonly #journal: Journal | undefined;
  #history: Change[] = [];
  #version = 0;
  /** Changes up to this version are not in the history any more. */
  #compacted = 0;

  constructor(journal?: Journal) {
    this.#journal = journal;
    const state = journal?.load();
    if (state === undefined) return;
    this.#version = state.version;
    this.#compacted = state.version;
    for (const { resource, key, object } of state.entries) this.#bucket(resource).set(key, object);
  }

  get version(): number {
    return this.#version;
  }

  /** Version before which the history is forgotten. */
  get compacted(): number {
    return this.#compacted;
  }

  get(resource: string, key: string): JsonObject | undefined {
    return this.#resources.get(resource)?.get(key);
  }

  /** Objects of a resource, unsorted; `prefix` (`namespace/`) narrows to one namespace. */
  list(resource: string, prefix = ""): { key: string; object: JsonObject }[] {
    const found: { key: string; object: JsonObject }[] = [];
    for (const [key, object] of this.#resources.get(resource) ?? []) {
      if (key.startsWith(prefix)) found.push({ key, object });
    }
    return found;
  }

  /** The state of a resource as it was at a version. Errors: 410 when the history does not reach back. */
  listAt(resource: string, prefix: string, version: number): { key: string; object: JsonObject }[] {
    if (version < this.#compacted) throw expired(version, this.#compacted);
    const state = new Map(this.list(resource, prefix).map(({ key, object }) => [key, object]));
    for (let index = this.#history.length - 1; index >= 0; index--) {
      const change = this.#history[index]!;
      if (change.version <= version) break;
      if (change.resource !== resource || !change.key.startsWith(prefix)) continue;
      if (change.previous === undefined) state.delete(change.key);
      else state.set(change.key, change.previous);
    }
    return [...state].map(([key, object]) => ({ key, object }));
  }

  /** Writes an object (which the store then owns) and returns it with its new resourceVersion. */
  put(resource: string, key: string, object: JsonObject): JsonObject {
    const previous = this.get(resource, key);
    const version = this.#version + 1;
    ensureMeta(object)["resourceVersion"] = String(version);
    this.#commit({ version, resource, key, type: previous === undefined ? "ADDED" : "MODIFIED", object, previous });
    return object;
  }

  /** Removes an object; returns its last state, which carries the version of the delete. */
  remove(resource: string, key: string): JsonObject | undefined {
    const previous = this.get(resource, key);
    if (previous === undefined) return undefined;
    const version = this.#version + 1;
    const object = { ...previous, metadata: { ...ensureMeta(previous), resourceVersion: String(version) } };
    this.#commit({ version, resource, key, type: "DELETED", object, previous });
    return object;
  }

  /** Changes of a resource after a version, oldest first. Errors: 410 when the history does not reach back. */
  since(resource: string, version: number): Change[] {
    if (version < this.#compacted) throw expired(version, this.#compacted);
    const found: Change[] = [];
    for (let index = this.#history.length - 1; index >= 0; index--) {
      const change = this.#history[index]!;
      if (change.version <= version) break;
      if (change.resource === resource) found.push(change);
    }
    return found.reverse();
  }

  /** Calls `listener` for every change from now on; the returned function ends it. */
  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Forgets the history up to now: watches from older versions answer 410. */
  compact(): void {
    this.#history = [];
    this.#compacted = this.#version;
  }

  close(): void {
    this.#listeners.clear();
    this.#journal?.close();
  }

  #commit(change: Change): void {
    const removed = change.type === "DELETED";
    this.#journal?.append({ ...change, object: removed ? null : change.object }, () => this.#entries());
    this.#version = change.version;
    const bucket = this.#bucket(change.resource);
    if (removed) bucket.delete(change.key);
    else bucket.set(change.key, change.object);
    this.#remember(change);
    for (const listener of this.#listeners) listener(change);
  }

  #remember(change: Change): void {
    this.#history.push(change);
    if (this.#history.length <= HISTORY_LIMIT + HISTORY_SLACK) return;
    const dropped = this.#history.splice(0, HISTORY_SLACK);
    this.#compacted = dropped.at(-1)!.version;
  }

  #bucket(resource: string): Map<string, JsonObject> {
    const known = this.#resources.get(resource);
    if (known !== undefined) return known;
    const bucket = new Map<string, JsonObject>();
    this.#resources.set(resource, bucket);
    return bucket;
  }

  *#entries(): Generator<{ resource: string; key: string; object: JsonObject }> {
    for (const [resource, bucket] of this.#resources) {
      for (const [key, object] of bucket) yield { resource, key, object };
    }
  }
}
