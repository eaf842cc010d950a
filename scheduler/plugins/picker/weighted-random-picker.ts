import { definePlugin } from "../../framework/plugin.ts";
import { anyOf, type Choose, drawing, pickerParameters } from "./draw.ts";

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

/** Takes endpoints with a probability proportional to their totals. */
export const weightedRandomPicker = definePlugin({
  type: "weighted-random-picker",
  kinds: ["picker"],
  stability: "beta",
  description: "Draws endpoints in proportion to their totals.",
  parameters: pickerParameters,
  create: (given) => drawing(weighted, given),
});
