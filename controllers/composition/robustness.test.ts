import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { composeInput, serviceOf } from "../../test/composition.ts";
import { listShared, readShared } from "../../test/corpus.ts";
import { compose } from "./compose.ts";
import { isObject, objectAt } from "../../crds/json.ts";
import type { Composition } from "./types.ts";

const composed = (spec: JsonObject): Composition =>
  compose(composeInput(serviceOf({ metadata: { name: "s" }, spec }, "ns")));

/** Fields that composition looks at, so that random values land where they hurt. */
const FIELDS = [
  "model",
  "template",
  "worker",
  "prefill",
  "router",
  "scheduler",
  "route",
  "http",
  "spec",
  "pool",
  "config",
];
const MORE = [
  "containers",
  "env",
  "name",
  "inline",
  "rules",
  "baseRefs",
  "parallelism",
  "data",
  "lora",
  "adapters",
  "uri",
];

const anything = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<Json>(null, true, 0, -1, 1e9, "", "main", "{{ .Name }}", "{{", "hf://a/b", "\u0000"),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...FIELDS, ...MORE, "__proto__", "$patch"), tie("value"), { maxKeys: 4 }),
  ),
})).value;

describe("composition of anything", () => {
  test("never throws, and is the same each time", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...FIELDS, ...MORE), anything, { maxKeys: 6 }), (spec) => {
        const before = JSON.stringify(spec);
        const once = composed(spec);
        expect(JSON.stringify(composed(spec))).toBe(JSON.stringify(once));
        expect(JSON.stringify(spec)).toBe(before);
        if (once.kind === "failed") expect(once.message).not.toBe("");
      }),
      { numRuns: 300 },
    );
  });

  test("a spec nested beyond any real one is refused", () => {
    let deep: Json = {};
    for (let level = 0; level < 20_000; level++) deep = { a: deep };
    expect(composed({ template: { affinity: deep } })).toMatchObject({
      kind: "failed",
      message: "LLMInferenceService ns/s: spec is nested deeper than 100 levels",
    });
  });

  test("more templates than anybody writes are refused once, not one by one", () => {
    const env = Array.from({ length: 6_000 }, (_, index) => ({ name: `E${index}`, value: "{{ .Name }}" }));
    const result = composed({ model: { uri: "hf://a/b" }, template: { containers: [{ name: "main", env }] } });
    expect(result.kind === "failed" && result.errors.map(({ message }) => message)).toEqual([
      "more than 5000 templates in one spec",
    ]);
  });

  test("an effective spec is composed of published services deterministically", () => {
    for (const path of listShared("corpus/golden/kserve/samples/main", ".yaml")) {
      const stored = objectAt(parseYaml(readShared(path)))?.["stored"];
      for (const object of Array.isArray(stored) ? stored.filter(isObject) : []) {
        const spec = objectAt(object, "spec") ?? {};
        expect(composed(spec)).toEqual(composed(spec));
      }
    }
  });
});
