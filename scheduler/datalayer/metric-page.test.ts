import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { seriesOf } from "./metric-page.ts";

/** What every line of a page says about a name, read the slow way. */
function valuesOf(page: string, name: string): number[] {
  return page.split("\n").flatMap((line) => {
    const match = /^([^\s{]+)(?:\{.*\})?\s+(\S+)/.exec(line);
    return match?.[1] === name ? [Number(match[2])] : [];
  });
}

const NAMES = ["a", "ab", "vllm:a", "vllm:a_total"];
const family = fc.record({
  name: fc.constantFrom(...NAMES),
  comment: fc.boolean(),
  values: fc.array(fc.nat(1000), { maxLength: 4 }),
  filler: fc.nat(3000),
});

test("a name is found wherever pages move it", () => {
  const pages = fc.array(fc.uniqueArray(family, { selector: ({ name }) => name }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(pages, fc.boolean(), (layouts, newline) => {
      for (const layout of layouts) {
        const blocks = layout.map(({ name, comment, values, filler }) =>
          [
            `# ${"x".repeat(filler)}`,
            ...(comment ? [`# HELP ${name} text`, `# TYPE ${name} gauge`] : []),
            ...values.map((value, index) => `${name}{engine="${index}"} ${value}`),
          ].join("\n"),
        );
        const page = blocks.join("\n") + (newline ? "\n" : "");
        for (const name of NAMES)
          expect(seriesOf(Buffer.from(page), name).map(({ value }) => value)).toEqual(valuesOf(page, name));
      }
    }),
    { numRuns: 200 },
  );
});
