import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { YamlError, dumpYaml, parseYaml, parseYamlDocuments } from "./yaml.ts";

describe("parseYaml reads what Go's reader reads", () => {
  test.each<[string, unknown]>([
    ["yes", true],
    ["off", false],
    ["y", true],
    ["n", false],
    ["on: no", { true: false }],
    ["012", 10],
    ["0o14", 12],
    ["0x1F", 31],
    ["1_000", 1000],
    ["-7", -7],
    ["089", 89],
    ["1:30", "1:30"],
    ["1e3", 1000],
    ["1.5", 1.5],
    ["2026-01-02", "2026-01-02"],
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"],
    ["~", null],
    ["", null],
    ["'yes'", "yes"],
    ["a: &x {b: 1}\nc:\n  <<: *x\n  d: 2", { a: { b: 1 }, c: { b: 1, d: 2 } }],
    ["a: &x [1]\nb: *x", { a: [1], b: [1] }],
    ["!!binary aGk=", "aGk="],
    ["1: a\ntrue: b", { "1": "a", true: "b" }],
    ['{"a": [1, {"b": null}]}', { a: [1, { b: null }] }],
    ["a: |\n  x\n  y\n", { a: "x\ny\n" }],
    ["__proto__: x", JSON.parse('{"__proto__":"x"}')],
  ])("%j", (text, expected) => {
    expect(parseYaml(text)).toEqual(expected);
  });

  test("a stream keeps order and drops empty documents", () => {
    expect(parseYamlDocuments("---\na: 1\n---\n---\n# note\n---\nb: 2\n")).toEqual([{ a: 1 }, { b: 2 }]);
  });

  test.each([
    ["a: 1\na: 2", "line 2"],
    ["a: [1", "line 1"],
    ["a: .inf", "no JSON form"],
    ["a: 1\n---\nb: 1", "one document expected, found 2"],
    [`${"[".repeat(150)}${"]".repeat(150)}`, "line 1"],
  ])("%j is refused", (text, message) => {
    expect(() => parseYaml(text)).toThrow(YamlError);
    expect(() => parseYaml(text)).toThrow(message);
  });

  test("an alias bomb is refused", () => {
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
    for (let level = 1; level < 9; level++)
      lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(", ")}]`);
    expect(() => parseYaml(lines.join("\n"))).toThrow("aliases expand to too many values");
  });
});

const MEGABYTE = 1 << 20;
const fill = (part: string): string => part.repeat(Math.ceil(MEGABYTE / part.length));

/** Texts of about a megabyte that ask for more than they are worth, and how they end. */
const HOSTILE: readonly (readonly [what: string, text: string, outcome: RegExp | undefined])[] = [
  ["brackets", fill("["), /nesting exceeded/],
  ["braces", fill("{a: "), /nesting exceeded/],
  ["lists in lists", fill("- "), /nesting exceeded/],
  ["keys in keys", fill("? "), /nesting exceeded/],
  [
    "deeper and deeper",
    Array.from({ length: 1400 }, (_, level) => `${" ".repeat(level)}a:\n`).join(""),
    /nesting exceeded/,
  ],
  ["anchors", fill("&a "), /duplication of an anchor/],
  ["an open quote", `"${fill("\\")}`, /unexpected end/],
  ["blank lines of a text", `|${fill("\n")}`, /commas and line ends/],
  ["ends of documents", fill("...\n"), /commas and line ends/],
  [
    "a list of digits",
    `[${fill("1,")}1]`,
    /^524288 commas and line ends in 1048579 characters, more than the 149797 that are read/,
  ],
  ["a list of words", `[${fill("a word,")}1]`, undefined],
  ["directives", fill("%YAML 1.2\n"), /duplication of %YAML/],
  ["one key", `${fill("a")}: 1`, undefined],
  ["a map that merges itself", "&a {<<: *a}", undefined],
  ["merges of merges", `a: &anchor {b: 1}\nc: {<<: [${fill("*anchor,")}*anchor]}`, /merge/],
  ["the same key", fill("same: 1\n"), /duplicated mapping key/],
];

describe("hostile texts", () => {
  test.each(HOSTILE)("%s are read, or refused with a line", (_what, text, outcome) => {
    const read = (): unknown => parseYamlDocuments(text);
    if (outcome === undefined) expect(read).not.toThrow();
    else expect(read).toThrow(outcome);
  });

  test("a damaged manifest is read or refused, never anything else", () => {
    const manifest = `# a service\na: &x {b: [1, "two", 'three']}\nc: |\n  text\nd:\n- <<: *x\n  e: !!binary aGk=\n`;
    const splice = fc.tuple(fc.nat(manifest.length), fc.nat(5), fc.string({ maxLength: 4, unit: "grapheme" }));
    fc.assert(
      fc.property(fc.array(splice, { minLength: 1, maxLength: 4 }), (splices) => {
        const text = splices.reduce((now, [at, drop, put]) => now.slice(0, at) + put + now.slice(at + drop), manifest);
        expect([undefined, YamlError]).toContain(thrownBy(() => JSON.stringify(parseYamlDocuments(text))));
      }),
      { numRuns: 500 },
    );
  });
});

/** The class of what a function throws; undefined where it throws nothing. */
function thrownBy(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as object).constructor;
  }
}

describe("dumpYaml", () => {
  test("quotes what other readers would take for another type", () => {
    expect(dumpYaml(["yes", "y", "012", "1:30", "1e3", "null"])).toBe(
      ["yes", "y", "012", "1:30", "1e3", "null"].map((text) => `- '${text}'\n`).join(""),
    );
  });

  test("any JSON value is read back as itself", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const plain: unknown = JSON.parse(JSON.stringify(value));
        expect(parseYaml(dumpYaml(plain))).toEqual(plain);
      }),
    );
  });
});
