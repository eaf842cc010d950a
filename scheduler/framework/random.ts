import type { Random } from "./cycle.ts";

/** Uniform numbers whose whole state is 32 bits, so that a draw is repeated by setting the state (generator: mulberry32). */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** State before the next draw, 0 to 2³² − 1. */
  get state(): number {
    return this.#state;
  }

  next(): number {
    const state = (this.#state + 0x6d2b79f5) >>> 0;
    this.#state = state;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}
