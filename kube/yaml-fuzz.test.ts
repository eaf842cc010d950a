import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { YamlError, parseYamlDocuments } from "./yaml.ts";
import { yamlLines } from "./yaml-lines.ts";

const MEGABYTE = 1_000_000;
/** Characters that mean something in YAML, and some that do not. */
const MARKS = "[ ] { } : , - ? & * ! | > ' \" % @ # a b 1".split(" ").concat(" ", "\n", "\t");
const fill = (part: string): string => part.repeat(Math.ceil(MEGABYTE / part.length)).slice(0, MEGABYTE);
const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join("\n");

/** An ordinary text of a megabyte: what every other one is measured by. */
const ORDINARY = `l:\n${"- {a: 1, b: [x, y], c: text}\n".repeat(34_000)}`;

/** Texts of up to a megabyte that cost some readers much more than their length. */
const SHAPES: Readonly<Record<string, string>> = {
  "a list": fill("- x\n"),
  "a list of digits": `[${fill("1,")}1]`,
  "open brackets": fill("["),
  "open braces": fill("{"),
  "lists in lists": fill("- "),
  "an endless quoted text": fill('"a\\n'),
  "a long text": `a: ${fill("x")}`,
  "a long block": `a: |\n${fill("  text\n")}`,
  colons: fill(":"),
  anchors: `l:\n${lines(50_000, (index) => `- &a${index} x`)}`,
  aliases: `a: &a x\nl:\n${lines(80_000, () => "- *a")}`,
  documents: `${lines(60_000, () => "---\na: 1")}\n`,
  "complex keys": fill("? "),
  "tag directives": fill("%TAG ! x\n"),
  tabs: fill("\t"),
  comments: fill("# c\n"),
  merges: `a: &a {${lines(2000, (index) => `k${index}: 1`).replaceAll("\n", ", ")}}\nl:\n${"- <<: *a\n".repeat(20_000)}`,
  "an alias bomb": `a0: &a0 [x, x]\n${lines(40, (index) => `a${index + 1}: &a${index + 1} [*a${index}, *a${index}]`)}`,
  "a wide alias bomb": `a: &a [${"x, ".repeat(50_000)}x]\nl:\n${"- *a\n".repeat(100_000)}`,
};

function cpuMs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function read(text: string): "read" | "refused" {
  try {
    parseYamlDocuments(text);
    return "read";
  } catch (error) {
    if (error instanceof YamlError) return "refused";
    throw error;
  }
}

describe("texts that are made to hurt", () => {
  const ordinaryMs = cpuMs(() => expect(read(ORDINARY)).toBe("read"));

  test.each(Object.entries(SHAPES))("%s costs no more than its length", (_name, text) => {
    expect(cpuMs(() => void read(text))).toBeLessThan(4 * ordinaryMs);
  });

  test.each(["a list of digits", "open brackets", "lists in lists", "merges", "an alias bomb", "a wide alias bomb"])(
    "%s is refused",
    (name) => {
      expect(read(SHAPES[name]!)).toBe("refused");
    },
  );

  test("whatever is done to a manifest, it is read or refused, and what is read has lines", () => {
    const manifest = "a: &x {b: [1, 'two', \"three\"]}\nc:\n- <<: *x\n  d: |\n    text\n---\ne: !!binary aGk=\n";
    const cut = fc.tuple(fc.nat(manifest.length), fc.nat(8), fc.string({ unit: fc.constantFrom(...MARKS) }));
    fc.assert(
      fc.property(fc.array(cut, { minLength: 1, maxLength: 4 }), (cuts) => {
        const text = cuts.reduce(
          (current, [at, length, by]) => current.slice(0, at) + by + current.slice(at + length),
          manifest,
        );
        if (read(text) === "read") expect(yamlLines(text)).toHaveLength(parseYamlDocuments(text).length);
      }),
      { numRuns: 400 },
    );
  });
});
