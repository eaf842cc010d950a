import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { arbitraryOf } from "../test/schema-arbitrary.ts";
import { convert } from "./conversion.ts";
import { OBJECT_SCHEMAS, type OurKind } from "./definitions.ts";
import { objectAt, textAt, withAt } from "./json.ts";
import { createStructural } from "./schema/structural.ts";
import { type Json, type JsonObject, type JsonSchema, formatFieldError } from "./schema/types.ts";

const V1 = "serving.kserve.io/v1alpha1";
const V2 = "serving.kserve.io/v1alpha2";

/** A schema without the insides of pods, which no conversion looks into. */
function shallow(schema: JsonSchema): JsonSchema {
  const pod: JsonSchema = { type: "object", properties: { nodeName: { type: "string" } } };
  const properties = Object.entries(schema.properties ?? {}).map(([key, property]) => [
    key,
    /^(template|worker)$/.test(key) ? pod : shallow(property),
  ]);
  return properties.length === 0 ? schema : { ...schema, properties: Object.fromEntries(properties) };
}

const adapters: fc.Arbitrary<Json> = fc.array(
  fc.record(
    {
      name: fc.constantFrom("a", "b"),
      uri: fc.constant("hf://a/b"),
      criticality: fc.constantFrom("Critical", "Standard"),
      confidential: fc.constant({ enabled: true }),
    },
    { requiredKeys: ["name"] },
  ),
  { maxLength: 3 },
);

/** Whole objects of a kind and version: spec and status by schema, adapters, and annotations of other people. */
function objects(kind: OurKind, version: "v1alpha1" | "v1alpha2"): fc.Arbitrary<JsonObject> {
  const { spec, status } = OBJECT_SCHEMAS[kind][version].properties!;
  const made = fc.record({
    spec: arbitraryOf(shallow(spec!), { density: 40 }),
    status: arbitraryOf(status!, { density: 20 }),
    annotations: fc.option(fc.constant({ note: "kept" }), { nil: undefined }),
    adapters: fc.option(adapters, { nil: undefined }),
  });
  return made.map((parts) => {
    const metadata = {
      name: "s",
      ...(parts.annotations === undefined ? {} : { annotations: { ...parts.annotations } }),
    };
    const object = {
      apiVersion: `serving.kserve.io/${version}`,
      kind,
      metadata,
      spec: parts.spec,
      status: parts.status,
    };
    const lora = objectAt(object, "spec", "model", "lora");
    const list =
      version === "v1alpha1" ? withoutKey(parts.adapters, "confidential") : withoutKey(parts.adapters, "criticality");
    if (lora === undefined) return object;
    return withAt(object, ["spec", "model", "lora", "adapters"], list);
  });
}

function withoutKey(list: Json | undefined, key: string): Json | undefined {
  if (!Array.isArray(list)) return undefined;
  return list.map(
    (item): Json => Object.fromEntries(Object.entries(item as JsonObject).filter(([name]) => name !== key)),
  );
}

/** What the way to v1alpha2 fills in, as KServe does: kind, port and failure mode of a pool's picker. */
function withPickerDefaults(object: JsonObject): JsonObject {
  const path = ["spec", "router", "scheduler", "pool", "spec", "extensionRef"];
  const reference = objectAt(object, ...path);
  if (reference === undefined) return object;
  const kind = textAt(reference, "kind") ?? "Service";
  const port = reference["portNumber"] ?? (kind === "Service" ? 9002 : undefined);
  return withAt(object, path, {
    ...reference,
    kind,
    failureMode: reference["failureMode"] ?? "FailClose",
    ...(port === undefined ? {} : { portNumber: port }),
  });
}

describe("conversion", () => {
  const kinds: readonly OurKind[] = ["LLMInferenceService", "LLMInferenceServiceConfig"];

  test.each(kinds)("a %s of v1alpha2 comes back from v1alpha1 as it was", (kind) => {
    fc.assert(
      fc.property(objects(kind, "v1alpha2"), (object) => {
        const before = structuredClone(object);
        expect(convert(convert(object, V1), V2)).toEqual(before);
        expect(object).toEqual(before);
      }),
      { numRuns: 100 },
    );
  });

  test.each(kinds)("a %s of v1alpha1 comes back from v1alpha2 as it was, its picker completed", (kind) => {
    fc.assert(
      fc.property(objects(kind, "v1alpha1"), (object) => {
        expect(convert(convert(object, V2), V1)).toEqual(withPickerDefaults(object));
      }),
      { numRuns: 100 },
    );
  });

  test.each(kinds)("a converted %s conforms to the schema of its version, and nothing of it is pruned", (kind) => {
    const structurals = {
      v1alpha1: createStructural(OBJECT_SCHEMAS[kind].v1alpha1),
      v1alpha2: createStructural(OBJECT_SCHEMAS[kind].v1alpha2),
    };
    fc.assert(
      fc.property(fc.oneof(objects(kind, "v1alpha1"), objects(kind, "v1alpha2")), (object) => {
        const other = object["apiVersion"] === V1 ? V2 : V1;
        const converted = structuredClone(convert(object, other));
        const structural = structurals[other === V1 ? "v1alpha1" : "v1alpha2"];
        expect(structural.prune(converted)).toEqual([]);
        // v1alpha1 takes any number as port and any text as label; nothing but the pool could tell what was meant.
        const errors = structural
          .validate(converted)
          .filter(({ path }) => !/pool\.spec\.(selector|targetPorts)/.test(path));
        expect(errors.map(formatFieldError)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  const scheduler = (pool: JsonObject): JsonObject => ({ router: { scheduler: { pool: { spec: pool } } } });
  const service = (spec: JsonObject): JsonObject => ({
    apiVersion: V2,
    kind: "LLMInferenceService",
    metadata: { name: "s" },
    spec,
  });

  test("what a client of v1alpha1 changes wins over what v1alpha2 had", () => {
    const two = service(scheduler({ targetPorts: [{ number: 8000 }, { number: 8001 }] }));
    const one = convert(two, V1);
    expect(objectAt(one, "spec", "router", "scheduler", "pool", "spec")).toEqual({ targetPortNumber: 8000 });
    const changed = withAt(one, ["spec", "router", "scheduler", "pool", "spec", "targetPortNumber"], 9000);
    expect(objectAt(convert(changed, V2), "spec", "router", "scheduler", "pool", "spec")).toEqual({
      targetPorts: [{ number: 9000 }],
    });
  });

  test("a part of the object that a client of v1alpha1 removed stays removed", () => {
    const object = service({
      model: { uri: "hf://a/b", confidential: { enabled: true } },
      prefill: { kvCacheOffloading: { cpu: 1 } },
    });
    const old = convert(object, V1);
    const without = withAt(old, ["spec", "prefill"], undefined);
    expect(convert(without, V2)["spec"]).toEqual({ model: { uri: "hf://a/b", confidential: { enabled: true } } });
  });

  test.each<[string, JsonObject]>([
    ["no spec", { metadata: { name: "s" } }],
    [
      "wrong types",
      { spec: { model: 1, router: { scheduler: { pool: { spec: { targetPorts: "x", selector: 3 } } } } } },
    ],
    ["damaged annotations", { metadata: { annotations: { "internal.serving.kserve.io/v1alpha2-only": "{" } } }],
  ])("an object with %s is converted without an error", (_what, parts) => {
    for (const [from, to] of [
      [V1, V2],
      [V2, V1],
    ] as const)
      expect(convert({ apiVersion: from, kind: "LLMInferenceService", ...parts }, to)["apiVersion"]).toBe(to);
  });
});
