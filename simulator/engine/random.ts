/** Source of uniform numbers in [0, 1). */
export type Random = () => number;

/** A deterministic generator (mulberry32) started from a 32-bit seed. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** A normally distributed number (Box–Muller), kept within 30 % and 170 % of the mean. */
export function jitter(random: Random, mean: number, standardDeviation: number): number {
  if (standardDeviation === 0) return mean;
  const radius = Math.sqrt(-2 * Math.log(1 - random()));
  const value = mean + standardDeviation * radius * Math.cos(2 * Math.PI * random());
  return Math.min(1.7 * mean, Math.max(0.3 * mean, value));
}
