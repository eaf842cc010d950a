import { LruSet } from "./lru-set.ts";

/** Prompt blocks that each endpoint is believed to hold, by slot; least recently used blocks go first. */
export class PrefixIndex {
  readonly #blocks = new Map<number, LruSet>();
  #size = 0;

  /** Leading blocks of `hashes` that the slot holds. */
  match(slot: number, hashes: readonly number[]): number {
    const held = this.#blocks.get(slot);
    if (held === undefined) return 0;
    let count = 0;
    for (const hash of hashes) {
      if (!held.has(hash)) break;
      count++;
    }
    return count;
  }

  /** Notes the blocks as just used. The head is refreshed last, since without it the rest cannot be found. */
  add(slot: number, hashes: readonly number[], capacity: number): void {
    let held = this.#blocks.get(slot);
    if (held === undefined) this.#blocks.set(slot, (held = new LruSet()));
    const before = held.size;
    for (let index = Math.min(hashes.length, capacity) - 1; index >= 0; index--) held.use(hashes[index]!);
    held.trim(capacity);
    this.#size += held.size - before;
  }

  remove(slot: number): void {
    this.#size -= this.#blocks.get(slot)?.size ?? 0;
    this.#blocks.delete(slot);
  }

  /** Blocks over all endpoints. */
  get size(): number {
    return this.#size;
  }
}
