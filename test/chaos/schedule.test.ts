import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { planFaults } from "./schedule.ts";

const NAMES = ["a", "b", "c", "d"] as const;

test("a seed determines the faults; each comes once before one comes again, in its interval", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, count) => {
      const planned = planFaults(NAMES, seed, count * 1000, 1000);
      expect(planned).toEqual(planFaults(NAMES, seed, count * 1000, 1000));
      expect(planned).toHaveLength(count);
      for (const [index, { atMs }] of planned.entries()) {
        expect(atMs).toBeGreaterThanOrEqual(index * 1000);
        expect(atMs).toBeLessThanOrEqual(index * 1000 + 500);
      }
      for (let start = 0; start + NAMES.length <= count; start += NAMES.length) {
        const deck = planned.slice(start, start + NAMES.length).map(({ fault }) => fault);
        expect(deck.toSorted()).toEqual([...NAMES]);
      }
    }),
  );
});
