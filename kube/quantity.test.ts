import { describe, expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { canonicalQuantity, parseQuantity } from "./quantity.ts";

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
