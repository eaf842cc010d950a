import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { canonicalQuantity, parseQuantity, quantityUnits } from "./quantity.ts";

describe("quantities", () => {
  test.each([
    ["0", 0n],
    ["100m", 100_000_000n],
    ["1.5Gi", 1_610_612_736_000_000_000n],
    ["1e3", 1_000_000_000_000n],
    ["1E3", 1_000_000_000_000n],
    [".5", 500_000_000n],
    ["12E", 12n * 10n ** 27n],
    ["1n", 1n],
    ["0.1n", 1n],
    ["-2k", -2_000_000_000_000n],
    ["1u", 1000n],
  ])("%s is %s billionths", (text, value) => expect(parseQuantity(text)).toBe(value));

  test.each(["", ".", "1K", "1 Gi", "Gi", "1e", "1.2.3", "0x10", "1e99", "+-1", "1_000"])("%j is none", (text) =>
    expect(parseQuantity(text)).toBeUndefined(),
  );

  test("units round up", () => {
    expect(["10Gi", "1500m", "1", "1n"].map(quantityUnits)).toEqual([10_737_418_240n, 2n, 1n, 1n]);
  });

  test("the same amount in any unit is the same value", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), (count) => {
        expect(parseQuantity(`${count}k`)).toBe(parseQuantity(`${count}000`));
        expect(parseQuantity(`${count}Ki`)).toBe(parseQuantity(String(count * 1024)));
        expect(parseQuantity(`${count}`)).toBe(parseQuantity(`${count}000m`));
      }),
    );
  });
});

describe("the form in which Kubernetes writes a quantity", () => {
  test.each([
    [".5", "500m"],
    ["0.5", "500m"],
    ["1000m", "1"],
    ["1500m", "1500m"],
    ["2", "2"],
    ["16Gi", "16Gi"],
    ["1024Mi", "1Gi"],
    ["1.5Gi", "1536Mi"],
    ["0.5Ki", "512"],
    ["1000Ki", "1000Ki"],
    ["100000", "100k"],
    ["65536", "65536"],
    ["1e3", "1e3"],
    ["12e6", "12e6"],
    ["100M", "100M"],
    ["0", "0"],
    ["0Gi", "0"],
    ["-500m", "-500m"],
    ["many", "many"],
  ])("%s is %s", (text, canonical) => expect(canonicalQuantity(text)).toBe(canonical));

  const quantity = fc
    .tuple(fc.integer({ min: -100_000, max: 100_000 }), fc.constantFrom("", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3"))
    .map(([number, suffix]) => `${number}${suffix}`);

  test("has the same value, and is its own form", () => {
    fc.assert(
      fc.property(quantity, (text) => {
        const canonical = canonicalQuantity(text);
        expect(parseQuantity(canonical)).toBe(parseQuantity(text));
        expect(canonicalQuantity(canonical)).toBe(canonical);
      }),
    );
  });
});
