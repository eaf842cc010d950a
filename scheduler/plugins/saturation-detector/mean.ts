import type { Cycle } from "../../framework/cycle.ts";
import type { SaturationDetector } from "../../framework/plugin.ts";

/** Saturation of a set as the mean of what each of its endpoints is filled; an empty set is full. */
export function meanOf(fillOf: (cycle: Cycle, slot: number) => number): SaturationDetector["saturation"] {
  return (cycle, slots, count) => {
    if (count === 0) return 1;
    let sum = 0;
    for (let i = 0; i < count; i++) sum += fillOf(cycle, slots[i] ?? 0);
    return sum / count;
  };
}
