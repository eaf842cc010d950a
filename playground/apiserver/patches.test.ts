import { describe, expect, test } from "@jest/globals";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { jsonPatch, mergePatch } from "./patches.ts";

describe("mergePatch: the examples of RFC 7386, appendix A", () => {
  const cases: [Json, Json, Json][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  test.each(cases)("%j with %j is %j", (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });
});

describe("jsonPatch (RFC 6902)", () => {
  const cases: [string, JsonObject, Json, JsonObject][] = [
    ["add a field", { a: 1 }, [{ op: "add", path: "/b", value: 2 }], { a: 1, b: 2 }],
    ["insert into a list", { a: [1, 3] }, [{ op: "add", path: "/a/1", value: 2 }], { a: [1, 2, 3] }],
    ["append to a list", { a: [1] }, [{ op: "add", path: "/a/-", value: 2 }], { a: [1, 2] }],
    ["remove", { a: 1, b: [1, 2] }, [{ op: "remove", path: "/b/0" }], { a: 1, b: [2] }],
    ["replace", { a: { b: 1 } }, [{ op: "replace", path: "/a/b", value: 2 }], { a: { b: 2 } }],
    ["move", { a: { b: 1 }, c: {} }, [{ op: "move", from: "/a/b", path: "/c/d" }], { a: {}, c: { d: 1 } }],
    ["copy", { a: [1] }, [{ op: "copy", from: "/a", path: "/b" }], { a: [1], b: [1] }],
    [
      "test and escapes",
      { "a/b": { "m~n": 1 } },
      [{ op: "test", path: "/a~1b/m~0n", value: 1 }],
      { "a/b": { "m~n": 1 } },
    ],
  ];
  test.each(cases)("%s", (_name, target, patch, result) => {
    const before = structuredClone(target);
    expect(jsonPatch(target, patch)).toEqual(result);
    expect(target).toEqual(before);
  });

  const refused: [string, Json, number][] = [
    ["a failed test", [{ op: "test", path: "/a", value: 2 }], 422],
    ["a path that does not exist", [{ op: "replace", path: "/x/y", value: 2 }], 422],
    ["an index outside the list", [{ op: "add", path: "/l/5", value: 2 }], 422],
    ["an unknown operation", [{ op: "swap", path: "/a" }], 422],
    ["no list", { op: "remove", path: "/a" }, 400],
    ["no pointer", [{ op: "remove", path: "a" }], 400],
  ];
  test.each(refused)("%s is refused", (_name, patch, code) => {
    expect(() => jsonPatch({ a: 1, l: [] }, patch)).toThrow(expect.objectContaining({ code }));
  });
});
