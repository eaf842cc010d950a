import { type Clock, systemClock } from "./clock.ts";
import type { QueueMeter } from "./controller-metrics.ts";
import { DEFAULT_RATE_LIMITS, RateLimiter, type RateLimits } from "./rate-limiter.ts";

/** What a work queue takes; all parts are optional. */
export interface WorkQueueOptions {
  readonly clock?: Clock;
  readonly limits?: RateLimits | undefined;
  readonly meter?: QueueMeter | undefined;
}

interface Delayed {
  readonly dueAt: number;
  readonly cancel: () => void;
}

/**
 * Keys to work on, with client-go's semantics: a key waits at most once; a key that is added while it is worked on is
 * handed out again after `done`, never to two workers at once; keys leave in the order in which they became ready.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #limiter: RateLimiter;
  readonly #meter: QueueMeter | undefined;
  /** Ready keys in order and since when, urgent ones first; none of them is being worked on, and none is in both. */
  readonly #urgent = new Map<string, number>();
  readonly #ready = new Map<string, number>();
  /** Keys that are being worked on, and since when. */
  readonly #processing = new Map<string, number>();
  /** Keys added while they were being worked on, and whether they are urgent. */
  readonly #again = new Map<string, boolean>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #waiters: ((key: string | undefined) => void)[] = [];
  #shutDown = false;

  constructor(options: WorkQueueOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#limiter = new RateLimiter(this.#clock.now(), options.limits ?? DEFAULT_RATE_LIMITS);
    this.#meter = options.meter;
    this.#meter?.onCollect(() => [...this.#processing.values()].map((since) => this.#clock.now() - since));
  }

  /** Keys that are ready. */
  get length(): number {
    return this.#urgent.size + this.#ready.size;
  }

  /** Whether nothing is ready, delayed or being worked on. */
  get idle(): boolean {
    return this.length + this.#processing.size + this.#delayed.size === 0;
  }

  /**
   * Makes a key ready; a delay of the same key stays in force. An urgent key leaves before all that are not, so that one
   * edit need not wait for thousands of keys that a shared object made ready.
   */
  add(key: string, urgent = false): void {
    if (this.#shutDown) return;
    if (!this.#isKnown(key)) this.#meter?.added();
    if (this.#processing.has(key)) this.#again.set(key, urgent || this.#again.get(key) === true);
    else this.#makeReady(key, urgent);
  }

  /** Adds a key after `delayMs`. Of several delays of one key the earliest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#shutDown) return;
    if (delayMs <= 0) return this.add(key);
    const dueAt = this.#clock.now() + delayMs;
    const known = this.#delayed.get(key);
    if (known !== undefined && known.dueAt <= dueAt) return;
    known?.cancel();
    const cancel = this.#clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { dueAt, cancel });
  }

  /** Adds a key after its back-off, which grows until `forget`. */
  addRateLimited(key: string): void {
    this.#meter?.retried();
    this.addAfter(key, this.#limiter.delay(key, this.#clock.now()));
  }

  /** Ends the key's back-off. */
  forget(key: string): void {
    this.#limiter.forget(key);
  }

  /** Failures of the key since it was last forgotten. */
  failures(key: string): number {
    return this.#limiter.failures(key);
  }

  /** The next key, as soon as there is one; call `done` with it later. Undefined once shut down and drained. */
  get(): Promise<string | undefined> {
    const key = this.#urgent.keys().next().value ?? this.#ready.keys().next().value;
    if (key !== undefined) return Promise.resolve(this.#handOut(key));
    if (this.#shutDown) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Ends the work on a key. */
  done(key: string): void {
    const since = this.#processing.get(key);
    if (since === undefined) return;
    this.#processing.delete(key);
    this.#meter?.worked(this.#clock.now() - since);
    const urgent = this.#again.get(key);
    if (urgent === undefined) return;
    this.#again.delete(key);
    this.#makeReady(key, urgent);
  }

  /** Takes no more keys and drops delayed ones; what is ready can still be got. */
  shutDown(): void {
    this.#shutDown = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const waiter of this.#waiters.splice(0)) waiter(undefined);
  }

  /** Whether the key is to be handed out anyway. */
  #isKnown(key: string): boolean {
    return this.#urgent.has(key) || this.#ready.has(key) || this.#again.has(key);
  }

  #makeReady(key: string, urgent: boolean): void {
    const since = this.#urgent.get(key) ?? this.#ready.get(key) ?? this.#clock.now();
    if (urgent) this.#ready.delete(key);
    if (urgent || this.#urgent.has(key)) this.#urgent.set(key, since);
    else this.#ready.set(key, since);
    this.#meter?.depth(this.length);
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) waiter(this.#handOut(key));
  }

  #handOut(key: string): string {
    const now = this.#clock.now();
    this.#meter?.waited(now - (this.#urgent.get(key) ?? this.#ready.get(key) ?? now));
    this.#urgent.delete(key);
    this.#ready.delete(key);
    this.#processing.set(key, now);
    this.#meter?.depth(this.length);
    return key;
  }
}
