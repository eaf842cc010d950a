import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { StrategicMergeError, strategicMerge } from "./strategic-merge.ts";
import type { Json, JsonSchema } from "./types.ts";

const keyed = (key: string, properties: Record<string, JsonSchema> = {}): JsonSchema => ({
  type: "array",
  "x-kubernetes-patch-strategy": "merge",
  "x-kubernetes-patch-merge-key": key,
  items: { type: "object", properties },
});

const POD: JsonSchema = {
  type: "object",
  properties: {
    containers: keyed("name", { env: keyed("name"), ports: keyed("containerPort") }),
    volumes: keyed("name"),
    finalizers: { type: "array", "x-kubernetes-patch-strategy": "merge" },
    args: { type: "array" },
    raw: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    labels: { type: "object", additionalProperties: { type: "string" } },
  },
};

const names = (text: string): Json[] => (text === "" ? [] : text.split(" ").map((name) => ({ name })));

describe("strategic merge", () => {
  test.each([
    ["a b c", "c x", "a b c x"],
    ["a b c", "x c", "x a b c"],
    ["a b c", "c a", "b c a"],
    ["a b c", "x y", "x y a b c"],
    ["a b c", "b x a", "b x a c"],
    ["a b", "a y b", "a y b"],
    ["", "a b", "a b"],
    ["a b", "", "a b"],
  ])("keyed lists: %j with %j is %j", (base, patch, expected) => {
    expect(strategicMerge({ containers: names(base) }, { containers: names(patch) }, POD)).toEqual({
      containers: names(expected),
    });
  });

  const cases: readonly (readonly [string, Json, Json, Json])[] = [
    ["scalars and unknown fields", { a: 1, b: 2 }, { b: 3, c: 4 }, { a: 1, b: 3, c: 4 }],
    ["null deletes", { a: 1, b: { c: 1, d: 2 } }, { a: null, b: { c: null } }, { b: { d: 2 } }],
    ["null of a missing field leaves nothing", {}, { a: null, b: { c: null } }, { b: {} }],
    [
      "maps union, empty values win",
      { labels: { a: "1", b: "2" } },
      { labels: { b: "", c: "3" } },
      { labels: { a: "1", b: "", c: "3" } },
    ],
    ["lists without a key are replaced", { args: ["a"] }, { args: ["b"] }, { args: ["b"] }],
    ["raw content is replaced", { raw: { a: 1 } }, { raw: { b: 1 } }, { raw: { b: 1 } }],
    [
      "elements merge deeply",
      {
        containers: [
          {
            name: "m",
            image: "i1",
            env: [
              { name: "A", value: "1" },
              { name: "B", value: "2" },
            ],
          },
        ],
      },
      {
        containers: [
          {
            name: "m",
            image: "i2",
            env: [
              { name: "C", value: "3" },
              { name: "A", value: "9" },
            ],
          },
        ],
      },
      {
        containers: [
          {
            name: "m",
            image: "i2",
            env: [
              { name: "C", value: "3" },
              { name: "A", value: "9" },
              { name: "B", value: "2" },
            ],
          },
        ],
      },
    ],
    [
      "the protocol is no part of a port's key",
      { containers: [{ name: "m", ports: [{ containerPort: 53, protocol: "TCP" }] }] },
      { containers: [{ name: "m", ports: [{ containerPort: 53, protocol: "UDP" }] }] },
      { containers: [{ name: "m", ports: [{ containerPort: 53, protocol: "UDP" }] }] },
    ],
    [
      "$patch: delete of an element",
      { containers: names("a b") },
      { containers: [{ name: "a", $patch: "delete" }] },
      { containers: names("b") },
    ],
    [
      "$patch: replace of a list",
      { containers: names("a b") },
      { containers: [{ $patch: "replace" }, { name: "c" }] },
      { containers: names("c") },
    ],
    [
      "$patch: replace of an object",
      { labels: { a: "1" } },
      { labels: { $patch: "replace", b: "2" } },
      { labels: { b: "2" } },
    ],
    ["$patch: delete of an object", { labels: { a: "1" }, a: 1 }, { labels: { $patch: "delete" } }, { a: 1 }],
    [
      "$retainKeys",
      { volumes: [{ name: "v", emptyDir: {} }] },
      { volumes: [{ name: "v", $retainKeys: ["name", "hostPath"], hostPath: { path: "/x" } }] },
      { volumes: [{ name: "v", hostPath: { path: "/x" } }] },
    ],
    [
      "scalar lists merge as sets",
      { finalizers: ["a", "b"] },
      { finalizers: ["c", "a"] },
      { finalizers: ["c", "a", "b"] },
    ],
    [
      "$deleteFromPrimitiveList",
      { finalizers: ["a", "b"] },
      { "$deleteFromPrimitiveList/finalizers": ["a"] },
      { finalizers: ["b"] },
    ],
    [
      "$setElementOrder",
      { containers: names("a b c") },
      { "$setElementOrder/containers": names("c a"), containers: [{ name: "c", image: "i" }] },
      { containers: [{ name: "b" }, { name: "c", image: "i" }, { name: "a" }] },
    ],
    [
      "$setElementOrder without a list in the patch",
      { finalizers: ["a", "b"] },
      { "$setElementOrder/finalizers": ["b", "a"] },
      { finalizers: ["b", "a"] },
    ],
    [
      "directives never reach new content",
      {},
      { containers: [{ name: "a", $patch: "merge", env: [{ name: "x", $patch: "delete" }] }] },
      { containers: [{ name: "a", env: [] }] },
    ],
    ["a type change replaces", { labels: "x" }, { labels: { a: "1" } }, { labels: { a: "1" } }],
  ];

  test.each(cases)("%s", (_, base, patch, expected) => {
    const before = JSON.stringify([base, patch]);
    expect(strategicMerge(base, patch, POD)).toEqual(expected);
    expect(JSON.stringify([base, patch])).toBe(before);
  });

  test("a key named __proto__ is data", () => {
    const patch: Json = JSON.parse('{"labels":{"__proto__":"x"}}');
    expect(JSON.stringify(strategicMerge({}, patch, POD))).toBe('{"labels":{"__proto__":"x"}}');
  });

  test.each<[string, Json]>([
    ['containers[0]: list element lacks its merge key "name"', { containers: [{ image: "x" }] }],
    ["unknown $patch directive", { labels: { $patch: "drop" } }],
    ["must be a list of field names", { $retainKeys: 1 }],
    ['must name every patched field, "b" is missing', { $retainKeys: ["a"], b: 1 }],
    ["on a list that does not merge", { args: ["a"], "$setElementOrder/args": ["a"] }],
  ])("refuses: %s", (message, patch) => {
    expect(() => strategicMerge({}, patch, POD)).toThrow(StrategicMergeError);
    expect(() => strategicMerge({}, patch, POD)).toThrow(message);
  });

  test("refuses patches nested beyond any real object", () => {
    let patch: Json = {};
    for (let depth = 0; depth < 300; depth++) patch = { a: patch };
    expect(() => strategicMerge({}, patch, undefined)).toThrow("nested deeper");
  });

  const name = fc.constantFrom("a", "b", "c", "d");
  const env = fc.uniqueArray(fc.record({ name, value: fc.string() }), { selector: (item) => item.name });
  const container = fc.record({ name, image: fc.string(), env }, { requiredKeys: ["name"] });
  const pod = fc.record(
    {
      containers: fc.uniqueArray(container, { selector: (item) => item.name }),
      labels: fc.dictionary(name, fc.string()),
      args: fc.array(fc.string()),
      finalizers: fc.uniqueArray(name),
    },
    { requiredKeys: [] },
  );

  test("applying a patch twice is applying it once, and the patch itself survives", () => {
    fc.assert(
      fc.property(pod, pod, (base, patch) => {
        const once = strategicMerge(base as Json, patch as Json, POD);
        expect(strategicMerge(once, patch as Json, POD)).toEqual(once);
        expect(strategicMerge(base as Json, patch as Json, POD)).toEqual(once);
      }),
    );
  });

  test("the empty patch changes nothing; any object patched onto nothing is itself", () => {
    fc.assert(
      fc.property(pod, (object) => {
        expect(strategicMerge(object as Json, {}, POD)).toEqual(object);
        expect(strategicMerge({}, object as Json, POD)).toEqual(object);
      }),
    );
  });
});
