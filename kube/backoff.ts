/** Shape of an exponential back-off. */
export interface BackoffShape {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Delay before attempt number `failures` (0 is the first repetition): base × 2^failures, at most `maxMs`. */
export function exponentialDelay(shape: BackoffShape, failures: number): number {
  return Math.min(shape.maxMs, shape.baseMs * 2 ** failures);
}

/** Spreads a delay over ±50 % by a value in [0, 1), so that clients that failed together do not return together. */
export function jitter(delayMs: number, randomValue: number): number {
  return delayMs * (0.5 + randomValue);
}
