import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { LruSet } from "./lru-set.ts";

type Step = { readonly use: number } | { readonly trim: number };

test("behaves as a list in the order of last use", () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ use: fc.integer({ min: 0, max: 120 }) }) },
    { weight: 1, arbitrary: fc.record({ trim: fc.nat(90) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
      const set = new LruSet();
      let model: number[] = [];
      for (const next of steps) {
        if ("use" in next) {
          set.use(next.use);
          model = [...model.filter((key) => key !== next.use), next.use];
        } else {
          set.trim(next.trim);
          model = model.slice(Math.max(0, model.length - next.trim));
        }
        expect(set.size).toBe(model.length);
      }
      for (let key = 0; key <= 120; key++) expect(set.has(key)).toBe(model.includes(key));
    }),
    { numRuns: 200 },
  );
});
