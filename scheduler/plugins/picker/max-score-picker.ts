import { definePlugin } from "../../framework/plugin.ts";
import { type Choose, drawing, pickerParameters } from "./draw.ts";

/** Position of the highest total; equal ones are drawn uniformly. */
const highest: Choose = (totals, from, count, random) => {
  let best = from;
  let ties = 1;
  for (let i = from + 1; i < count; i++) {
    const difference = (totals[i] ?? 0) - (totals[best] ?? 0);
    if (difference > 0) {
      best = i;
      ties = 1;
    } else if (difference === 0 && random.next() * ++ties < 1) best = i;
  }
  return best;
};

/** Takes the highest totals. */
export const maxScorePicker = definePlugin({
  type: "max-score-picker",
  kinds: ["picker"],
  stability: "beta",
  description: "Takes the highest totals; chance decides between equal ones.",
  parameters: pickerParameters,
  create: (given) => drawing(highest, given),
});
