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
