import { type BackoffShape, exponentialDelay } from "./backoff.ts";

/** Numbers of a `RateLimiter`; defaults are those of client-go's controller rate limiter. */
export interface RateLimits extends BackoffShape {
  /** Repetitions per second over all keys. */
  readonly perSecond: number;
  /** Repetitions that need not wait for that rate. */
  readonly burst: number;
}

/** 5 ms doubling to 1,000 s for each key; 10 per second over all, bursts of 100. */
export const DEFAULT_RATE_LIMITS: RateLimits = { baseMs: 5, maxMs: 1_000_000, perSecond: 10, burst: 100 };

/** Delays of repetitions: exponential for each key, and a token bucket over all keys; the longer one counts. */
export class RateLimiter {
  readonly #limits: RateLimits;
  readonly #failuresByKey = new Map<string, number>();
  #tokens: number;
  #refilledAt: number;

  /** `now` is monotonic time in ms. */
  constructor(now: number, limits: RateLimits = DEFAULT_RATE_LIMITS) {
    this.#limits = limits;
    this.#tokens = limits.burst;
    this.#refilledAt = now;
  }

  /** Counts a failure of the key and returns the ms to wait before it is tried again. */
  delay(key: string, now: number): number {
    const failures = this.failures(key);
    this.#failuresByKey.set(key, failures + 1);
    return Math.max(exponentialDelay(this.#limits, failures), this.#reserve(now));
  }

  /** Failures of the key since it was last forgotten. */
  failures(key: string): number {
    return this.#failuresByKey.get(key) ?? 0;
  }

  /** Ends the key's back-off. */
  forget(key: string): void {
    this.#failuresByKey.delete(key);
  }

  /** Takes one token, on credit where none is left, and returns the ms until it exists. */
  #reserve(now: number): number {
    const { perSecond, burst } = this.#limits;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#refilledAt) / 1000) * perSecond) - 1;
    this.#refilledAt = now;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / perSecond) * 1000;
  }
}
