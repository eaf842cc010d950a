const FIRST_NODES = 64;
/** The ring's fixed node, between newest and oldest. */
const END = 0;

/**
 * A set of numbers in the order of their last use. Links are kept apart from the map, so that a use costs one look-up: a Map
 * alone would have to delete and insert again, and to step over what was deleted to find the oldest.
 */
export class LruSet {
  readonly #nodes = new Map<number, number>();
  #keys: Float64Array = new Float64Array(FIRST_NODES);
  #older: Uint32Array = new Uint32Array(FIRST_NODES);
  #newer: Uint32Array = new Uint32Array(FIRST_NODES);
  /** First of the nodes that were given back, linked by `#newer`; 0: none. */
  #free = 0;
  /** Nodes ever taken, the fixed one included. */
  #taken = 1;

  get size(): number {
    return this.#nodes.size;
  }

  has(key: number): boolean {
    return this.#nodes.has(key);
  }

  /** Makes `key` the one that was used last, and a member where it was none. */
  use(key: number): void {
    let node = this.#nodes.get(key);
    if (node === undefined) {
      node = this.#take();
      this.#keys[node] = key;
      this.#nodes.set(key, node);
    } else this.#unlink(node);
    const newest = this.#older[END]!;
    this.#newer[newest] = node;
    this.#older[node] = newest;
    this.#newer[node] = END;
    this.#older[END] = node;
  }

  /** Drops the oldest members beyond `capacity`. */
  trim(capacity: number): void {
    while (this.#nodes.size > capacity) {
      const oldest = this.#newer[END]!;
      this.#unlink(oldest);
      this.#nodes.delete(this.#keys[oldest]!);
      this.#newer[oldest] = this.#free;
      this.#free = oldest;
    }
  }

  #unlink(node: number): void {
    const older = this.#older[node]!;
    const newer = this.#newer[node]!;
    this.#newer[older] = newer;
    this.#older[newer] = older;
  }

  #take(): number {
    const node = this.#free;
    if (node === 0) return this.#next();
    this.#free = this.#newer[node]!;
    return node;
  }

  #next(): number {
    if (this.#taken === this.#keys.length) this.#grow();
    return this.#taken++;
  }

  #grow(): void {
    const length = this.#keys.length * 2;
    const [keys, older, newer] = [new Float64Array(length), new Uint32Array(length), new Uint32Array(length)];
    keys.set(this.#keys);
    older.set(this.#older);
    newer.set(this.#newer);
    [this.#keys, this.#older, this.#newer] = [keys, older, newer];
  }
}
