/** Remembers which slots were used last and ranks others by it. */
export class LruRanks {
  readonly #order = new Map<number, true>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Notes a slot as the last used one. */
  touch(slot: number): void {
    this.#order.delete(slot);
    this.#order.set(slot, true);
    const oldest = this.#order.keys().next();
    if (this.#order.size > this.#capacity && oldest.done !== true) this.#order.delete(oldest.value);
  }

  remove(slot: number): void {
    this.#order.delete(slot);
  }

  /** Slots from the one used longest ago on, at most `limit`. */
  oldestFirst(limit: number): readonly number[] {
    return [...this.#order.keys()].slice(0, limit);
  }

  /**
   * Scores fall evenly from 1 to 0 over never used slots in their order, then used ones from the oldest on. Only the
   * given slots take a rank.
   */
  score(slots: Int32Array, count: number, scores: Float64Array): void {
    const step = count > 1 ? 1 / (count - 1) : 0;
    const positions = new Map<number, number>();
    let rank = 0;
    for (let i = 0; i < count; i++) {
      const slot = slots[i] ?? 0;
      if (this.#order.has(slot)) positions.set(slot, i);
      else scores[i] = Math.max(0, 1 - rank++ * step);
    }
    for (const slot of this.#order.keys()) {
      const position = positions.get(slot);
      if (position !== undefined) scores[position] = Math.max(0, 1 - rank++ * step);
    }
  }
}
