import { type Clock, systemClock } from "./clock.ts";

/** Delays of client-go's default controller rate limiter: per key 5 ms · 2ⁿ up to 1,000 s; together 10/s, burst 100. */
const BASE_DELAY_MS = 5;
const MAX_DELAY_MS = 1_000_000;
const RATE_PER_MS = 10 / 1000;
const BURST = 100;

/**
 * Keys that wait for work, with client-go's semantics: a key is queued at most once; added while it is worked on it is
 * queued again when that is done, so that it never runs twice at once and no change is lost.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #queue: string[] = [];
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();
  readonly #delayed = new Map<string, { readonly dueMs: number; readonly cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #tokens = BURST;
  #tokensAtMs: number;
  #closed = false;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#tokensAtMs = clock.now();
  }

  /** Keys that wait and are not delayed. */
  get length(): number {
    return this.#queue.length;
  }

  /** Queues a key at once; nothing when it waits already or the queue is closed. */
  add(key: string): void {
    if (this.#closed || this.#dirty.has(key)) return;
    this.#dirty.add(key);
    if (this.#processing.has(key)) return;
    const taker = this.#takers.shift();
    if (taker === undefined) this.#queue.push(key);
    else taker(this.#begin(key));
  }

  /** Queues a key after a delay; the earlier of two delays counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#closed) return;
    if (delayMs <= 0) return this.add(key);
    const dueMs = this.#clock.now() + delayMs;
    const waiting = this.#delayed.get(key);
    if (waiting !== undefined && waiting.dueMs <= dueMs) return;
    waiting?.cancel();
    const cancel = this.#clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { dueMs, cancel });
  }

  /** Queues a key after the delay that its failures and the overall rate ask for. */
  addRateLimited(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, Math.max(Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** failures), this.#bucketDelayMs()));
  }

  /** Failures of a key since it was forgotten. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Ends the back-off of a key. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, which is then in work until `done`; undefined when the queue is closed and empty. */
  take(): Promise<string | undefined> {
    const key = this.#queue.shift();
    if (key !== undefined) return Promise.resolve(this.#begin(key));
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** Ends the work on a key; it is queued again if it was added meanwhile. */
  done(key: string): void {
    this.#processing.delete(key);
    if (!this.#dirty.delete(key)) return;
    this.add(key);
  }

  /** Takes no more keys; waiting ones are still handed out, delayed ones are dropped. */
  close(): void {
    this.#closed = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #begin(key: string): string {
    this.#dirty.delete(key);
    this.#processing.add(key);
    return key;
  }

  #bucketDelayMs(): number {
    const now = this.#clock.now();
    this.#tokens = Math.min(BURST, this.#tokens + (now - this.#tokensAtMs) * RATE_PER_MS) - 1;
    this.#tokensAtMs = now;
    return this.#tokens >= 0 ? 0 : -this.#tokens / RATE_PER_MS;
  }
}
