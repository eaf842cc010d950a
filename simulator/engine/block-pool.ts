/** Number of no block: block 0 is reserved, as in vLLM, so ids of usable blocks start at 1. */
const NONE = 0;

/** What the pool tells its owner about cached content that came or went. */
export interface BlockListener {
  readonly onStored: (hash: number) => void;
  readonly onRemoved: (hash: number) => void;
}

/**
 * The KV-cache blocks of one engine (vLLM V1 `block_pool`): reference counts, content hashes, and the free blocks in
 * least-recently-used order. A free block keeps its content until it is taken again.
 * Invariant: referenced blocks + free blocks = total − 1.
 */
export class BlockPool {
  readonly totalBlocks: number;
  #freeCount: number;
  readonly #refs: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #hashes: (number | undefined)[];
  readonly #blockByHash = new Map<number, number>();
  readonly #listener: BlockListener | undefined;

  constructor(totalBlocks: number, listener?: BlockListener) {
    this.totalBlocks = totalBlocks;
    this.#freeCount = totalBlocks - 1;
    this.#refs = new Int32Array(totalBlocks);
    this.#next = Int32Array.from({ length: totalBlocks }, (_, id) => (id + 1) % totalBlocks);
    this.#previous = Int32Array.from({ length: totalBlocks }, (_, id) => (id + totalBlocks - 1) % totalBlocks);
    this.#hashes = Array.from({ length: totalBlocks });
    this.#listener = listener;
  }

  get freeBlocks(): number {
    return this.#freeCount;
  }

  /** Share of the usable blocks that requests hold, 0 to 1. */
  get usageRatio(): number {
    return this.totalBlocks <= 1 ? 0 : 1 - this.#freeCount / (this.totalBlocks - 1);
  }

  /** Whether nobody holds the block, so that taking it uses up a free one. */
  isFree(block: number): boolean {
    return this.#refs[block] === 0;
  }

  /** Blocks that hold the longest prefix of the chain `hashes`, at most `limit`. */
  findPrefix(hashes: readonly number[], limit: number): number[] {
    const found: number[] = [];
    while (found.length < limit) {
      const block = this.#blockByHash.get(hashes[found.length] ?? Number.NaN);
      if (block === undefined) break;
      found.push(block);
    }
    return found;
  }

  /** Takes one more reference to a block with content. */
  retain(block: number): void {
    if (this.#refs[block]!++ === 0) this.#unlink(block);
  }

  /** Takes the free block unused for longest; its content is lost. Undefined when no block is free. */
  allocate(): number | undefined {
    if (this.#freeCount === 0) return undefined;
    const block = this.#next[NONE]!;
    this.#forget(block);
    this.retain(block);
    return block;
  }

  /** Names the content of a held block; of two blocks with equal content the first stays the cached one. */
  store(block: number, hash: number): void {
    if (this.#blockByHash.has(hash)) return;
    this.#hashes[block] = hash;
    this.#blockByHash.set(hash, block);
    this.#listener?.onStored(hash);
  }

  /** Gives back one reference to each block, last first, so that heads of prefixes survive longest. */
  release(blocks: readonly number[]): void {
    for (let index = blocks.length - 1; index >= 0; index--) {
      const block = blocks[index]!;
      if (--this.#refs[block]! === 0) this.#append(block);
    }
  }

  /** Forgets all cached content. */
  clear(): void {
    for (const block of this.#blockByHash.values()) this.#hashes[block] = undefined;
    this.#blockByHash.clear();
  }

  #forget(block: number): void {
    const hash = this.#hashes[block];
    if (hash === undefined) return;
    this.#hashes[block] = undefined;
    this.#blockByHash.delete(hash);
    this.#listener?.onRemoved(hash);
  }

  #unlink(block: number): void {
    this.#next[this.#previous[block]!] = this.#next[block]!;
    this.#previous[this.#next[block]!] = this.#previous[block]!;
    this.#freeCount--;
  }

  #append(block: number): void {
    const last = this.#previous[NONE]!;
    this.#next[last] = block;
    this.#previous[block] = last;
    this.#next[block] = NONE;
    this.#previous[NONE] = block;
    this.#freeCount++;
  }
}
