import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { NumberLog } from "./number-log.ts";

test("what is still held reads as it was written, over any sequence of sizes", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(sizes, (lengths) => {
      const log = new NumberLog(32 * 1024 * 8);
      const written: { readonly place: number; readonly values: Float64Array }[] = [];
      lengths.forEach((length, index) => {
        const values = new Float64Array(length).fill(index + 1);
        const place = log.reserve(length);
        log.putFloats(place, values);
        written.push({ place, values });
      });
      const held = written.filter(({ place }) => log.holds(place));
      for (const { place, values } of held)
        expect(log.floats(place, values.length).every((value) => value === values[0])).toBe(true);
      expect(held.at(-1)).toBe(written.at(-1));
    }),
    { numRuns: 50 },
  );
});

test("more than ever fits is refused", () => {
  expect(new NumberLog(800).reserve(101)).toBe(-1);
  expect(new NumberLog(800).reserve(100)).toBe(0);
});
