/** Default share of the memory that a process may use, and bounds of what follows from it. */
const SHARE = 1 / 4;
const MOST_BYTES = 1024 * 1024 * 1024;

/** Bytes that clients can make a server hold, counted against a capacity, and against that of what it is a part of. */
export class MemoryBudget {
  readonly #capacityBytes: number;
  readonly #whole: MemoryBudget | undefined;
  #usedBytes = 0;
  #refusals = 0;

  constructor(capacityBytes: number, whole?: MemoryBudget) {
    this.#capacityBytes = capacityBytes;
    this.#whole = whole;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** How often there was not enough left. */
  get refusals(): number {
    return this.#refusals;
  }

  /** A part that may use half of it, so that no client can take all from the others. */
  half(): MemoryBudget {
    return new MemoryBudget(this.#capacityBytes / 2, this);
  }

  /** Counts bytes as used; false, and nothing counted, where fewer are left. */
  take(bytes: number): boolean {
    const fits = this.#usedBytes + bytes <= this.#capacityBytes;
    if (fits && this.#whole?.take(bytes) !== false) {
      this.#usedBytes += bytes;
      return true;
    }
    this.#refusals++;
    if (!fits && this.#whole !== undefined) this.#whole.#refusals++;
    return false;
  }

  /** Counts bytes that were taken as free again. */
  give(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#whole?.give(bytes);
  }
}

/**
 * Capacity for a process: a quarter of the memory it may use, which leaves room for what garbage collection has not got to
 * yet and for all that is no client's; at most 1 GiB.
 *
 * @param limitBytes limit of its container; 0 or beyond the machine's: none
 * @param machineBytes memory of the machine
 */
export const defaultCapacity = (limitBytes: number, machineBytes: number): number =>
  Math.min(MOST_BYTES, Math.floor(Math.min(limitBytes || Infinity, machineBytes) * SHARE));
