import type { Random } from "../../framework/cycle.ts";
import { integer, object } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";

const parameters = object({
  maxNumOfEndpoints: integer({ doc: "Targets to name, best first.", default: 1 }),
});

function swap(slots: Int32Array, totals: Float64Array, a: number, b: number): void {
  const slot = slots[a] ?? 0;
  const total = totals[a] ?? 0;
  slots[a] = slots[b] ?? 0;
  totals[a] = totals[b] ?? 0;
  slots[b] = slot;
  totals[b] = total;
}

/** Position of the highest key in [from, count); equal ones are drawn uniformly. */
function drawBest(keys: Float64Array, from: number, count: number, random: Random): number {
  let best = from;
  let ties = 1;
  for (let i = from + 1; i < count; i++) {
    const difference = (keys[i] ?? 0) - (keys[best] ?? 0);
    if (difference > 0) [best, ties] = [i, 1];
    else if (difference === 0 && random.next() * ++ties < 1) best = i;
  }
  return best;
}

type Choose = (totals: Float64Array, from: number, count: number, random: Random) => number;

function picker(type: string, description: string, choose: Choose): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["picker"],
    stability: "beta",
    description,
    parameters,
    create: ({ maxNumOfEndpoints }) => ({
      pick: ({ random }, slots, totals, count) => {
        const wanted = Math.min(Math.max(1, maxNumOfEndpoints), count);
        for (let at = 0; at < wanted; at++) swap(slots, totals, at, choose(totals, at, count, random));
        return wanted;
      },
    }),
  });
}

const anyOf: Choose = (_, from, count, random) => from + Math.floor(random.next() * (count - from));

/** Draws in proportion to the totals; without a positive one uniformly. */
const weighted: Choose = (totals, from, count, random) => {
  let sum = 0;
  for (let i = from; i < count; i++) sum += Math.max(0, totals[i] ?? 0);
  if (sum <= 0) return anyOf(totals, from, count, random);
  let left = random.next() * sum;
  let last = from;
  for (let i = from; i < count; i++) {
    const share = Math.max(0, totals[i] ?? 0);
    if (share === 0) continue;
    last = i;
    left -= share;
    if (left < 0) break;
  }
  return last;
};

/** Takes the highest totals. */
export const maxScorePicker = picker("max-score-picker", "Takes the highest totals.", drawBest);
/** Takes any endpoint. */
export const randomPicker = picker("random-picker", "Takes any endpoint, whatever it scores.", anyOf);
/** Takes endpoints with a probability proportional to their totals. */
export const weightedRandomPicker = picker(
  "weighted-random-picker",
  "Draws endpoints in proportion to their totals.",
  weighted,
);
