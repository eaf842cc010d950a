/**
 * What becomes of endpoints whose metrics are stale. After the filters of a profile:
 *
 * 1. `all-fresh`: no survivor is stale, and all compete.
 * 2. `stale-left-out`: at least half of them are fresh; the stale ones do not compete.
 * 3. `mostly-stale`: fewer are; all compete with the last values known, so that a few do not get the traffic of all.
 *
 * An endpoint is stale when its metrics were last read longer ago than the limit. One whose metrics were never read is not: it
 * may have none, and competes with the means that the pool had when it arrived.
 */
export const FRESHNESS = ["all-fresh", "stale-left-out", "mostly-stale"] as const;

/** Which of the rules held. */
export type Freshness = (typeof FRESHNESS)[number];

/** Whether values read at `updatedAtMs` (0: never) are older than `sinceMs`. */
export const isStale = (updatedAtMs: number, sinceMs: number): boolean => updatedAtMs !== 0 && updatedAtMs < sinceMs;

/** How many of the first `count` slots are stale. */
export function countStale(slots: Int32Array, count: number, updatedAtMs: Float64Array, sinceMs: number): number {
  let stale = 0;
  for (let i = 0; i < count; i++) if (isStale(updatedAtMs[slots[i]!]!, sinceMs)) stale++;
  return stale;
}

/** The rule for so many stale ones. */
export function freshnessOf(count: number, stale: number): Freshness {
  if (stale === 0) return "all-fresh";
  return stale * 2 <= count ? "stale-left-out" : "mostly-stale";
}

/** Moves the fresh slots to the front, in their order; returns how many there are. */
export function dropStale(slots: Int32Array, count: number, updatedAtMs: Float64Array, sinceMs: number): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const slot = slots[i]!;
    if (!isStale(updatedAtMs[slot]!, sinceMs)) slots[kept++] = slot;
  }
  return kept;
}
