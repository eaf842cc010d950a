import type { Random } from "../../framework/cycle.ts";
import { integer, object } from "../../framework/parameters.ts";
import type { Picker } from "../../framework/plugin.ts";

/** Parameters of the pickers. */
export const pickerParameters = object({
  maxNumOfEndpoints: integer({ doc: "Targets to name, best first; ≤ 0: 1.", default: 1 }),
});

/** Position in [from, count) of the next target. */
export type Choose = (totals: Float64Array, from: number, count: number, random: Random) => number;

function swap(slots: Int32Array, totals: Float64Array, a: number, b: number): void {
  const slot = slots[a] ?? 0;
  const total = totals[a] ?? 0;
  slots[a] = slots[b] ?? 0;
  totals[a] = totals[b] ?? 0;
  slots[b] = slot;
  totals[b] = total;
}

/** Picks as many targets as asked for, one draw after the other. */
export function drawing(choose: Choose, { maxNumOfEndpoints }: typeof pickerParameters.fallback): Picker {
  return {
    pick: ({ random }, slots, totals, count) => {
      const wanted = Math.min(Math.max(1, maxNumOfEndpoints), count);
      for (let at = 0; at < wanted; at++) swap(slots, totals, at, choose(totals, at, count, random));
      return wanted;
    },
  };
}

/** Any position, each as likely as another. */
export const anyOf: Choose = (_, from, count, random) => from + Math.floor(random.next() * (count - from));
