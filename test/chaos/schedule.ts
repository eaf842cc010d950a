import { createRandom } from "../../simulator/engine/random.ts";

/** One fault of a run. */
export interface Planned<Name extends string> {
  /** Milliseconds after the start of the run. */
  readonly atMs: number;
  readonly fault: Name;
  /** Uniform in [0, 1), for what the fault has to choose. */
  readonly draw: number;
}

/**
 * The faults of a run, which a seed determines: one in each interval, at a random moment of its first half, so that the second
 * is left to recover in. Every fault comes once before one comes again.
 */
export function planFaults<Name extends string>(
  names: readonly Name[],
  seed: number,
  durationMs: number,
  everyMs: number,
): Planned<Name>[] {
  const random = createRandom(seed);
  const planned: Planned<Name>[] = [];
  let deck: Name[] = [];
  for (let start = 0; start + everyMs <= durationMs; start += everyMs) {
    if (deck.length === 0) deck = shuffled(names, random);
    planned.push({ atMs: Math.round(start + (random() * everyMs) / 2), fault: deck.pop()!, draw: random() });
  }
  return planned;
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const deck = [...items];
  for (let index = deck.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1));
    [deck[index], deck[other]] = [deck[other]!, deck[index]!];
  }
  return deck;
}
