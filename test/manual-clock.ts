import type { Clock } from "../kube/clock.ts";

interface Timer {
  readonly dueAt: number;
  readonly run: () => void;
}

/** Lets everything that is ready to run do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that moves when told to; chance is always `randomValue`. */
export class ManualClock implements Clock {
  randomValue = 0.5;
  #now = 1000;
  #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.randomValue;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { dueAt: this.#now + Math.max(0, delayMs), run };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  /** Delays of all pending timers, in ms from now, ascending. */
  get pending(): number[] {
    return this.#timers.map(({ dueAt }) => dueAt - this.#now).sort((a, b) => a - b);
  }

  /** Runs all timers due within `delayMs` in their order, and what follows from each, then stands at that time. */
  async advance(delayMs: number): Promise<void> {
    const until = this.#now + delayMs;
    for (let timer = await this.#next(until); timer !== undefined; timer = await this.#next(until)) {
      this.#now = timer.dueAt;
      this.#timers = this.#timers.filter((other) => other !== timer);
      timer.run();
    }
    this.#now = until;
    await settle();
  }

  async #next(until: number): Promise<Timer | undefined> {
    await settle();
    return this.#timers.filter(({ dueAt }) => dueAt <= until).sort((a, b) => a.dueAt - b.dueAt)[0];
  }
}
