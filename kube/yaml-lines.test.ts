import { describe, expect, test } from "@jest/globals";
import { yamlLines } from "./yaml-lines.ts";

const TEXT = `# a comment
apiVersion: v1
spec:
  list:
  - name: a
    value: 1
  - {name: b, "value": 2}
  text: |
    x: y
  other: &x
    k: v
  again: *x
---
---
kind: B
data: {a.b/c: 1}
`;

describe("yamlLines", () => {
  const [first, second, ...rest] = yamlLines(TEXT);

  test.each([
    ["apiVersion", 2],
    ["spec", 3],
    ["spec.list", 4],
    ["spec.list[0].name", 5],
    ["spec.list[0].value", 6],
    ["spec.list[1].value", 7],
    ["spec.text", 8],
    ["spec.other.k", 11],
    ["spec.again.k", 12],
    ["spec.list[1].missing.deep", 7],
    ["spec.nothing", 3],
    ["", 2],
  ])("%s is in line %d", (path, line) => expect(first!.lineOf(path)).toBe(line));

  test("of each document that is not empty", () => {
    expect(second!.lineOf("kind")).toBe(15);
    expect(second!.lineOf("data.a.b/c")).toBe(16);
    expect(rest).toEqual([]);
  });

  test("JSON has lines too", () => {
    expect(yamlLines('{\n  "a": {\n    "b": [1,\n 2]\n  }\n}')[0]!.lineOf("a.b[1]")).toBe(4);
  });
});
