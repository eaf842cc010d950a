import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { QUANTITY_PATTERN } from "./formats.ts";
import { createStructural } from "./structural.ts";
import { fieldErrorReason, formatFieldError, formatFieldErrors, type JsonSchema } from "./types.ts";

const port: JsonSchema = {
  type: "object",
  required: ["containerPort"],
  properties: {
    containerPort: { type: "integer", format: "int32", minimum: 1, maximum: 65_535 },
    protocol: { type: "string", default: "TCP" },
  },
};

const schema: JsonSchema = {
  type: "object",
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { type: "object" },
    spec: {
      type: "object",
      required: ["model"],
      properties: {
        model: { type: "object", required: ["uri"], properties: { uri: { type: "string", minLength: 1 } } },
        replicas: { type: "integer", format: "int32", minimum: 0 },
        policy: { type: "string", enum: ["lru", "arc"], default: "lru" },
        percent: { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] },
        memory: {
          "x-kubernetes-int-or-string": true,
          anyOf: [{ type: "integer" }, { type: "string" }],
          pattern: QUANTITY_PATTERN,
        },
        ports: {
          type: "array",
          items: port,
          maxItems: 3,
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
        },
        tags: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
        labels: { type: "object", additionalProperties: { type: "string" } },
        inline: { type: "object", "x-kubernetes-preserve-unknown-fields": true, properties: { known: port } },
        maybe: { type: "string", nullable: true, default: "x" },
        manifest: { type: "object", "x-kubernetes-embedded-resource": true },
        when: { type: "string", format: "date-time" },
        choice: {
          type: "object",
          properties: { a: { type: "string" }, b: { type: "string" } },
          oneOf: [{ required: ["a"] }, { required: ["b"] }],
        },
      },
    },
  },
};
const structural = createStructural(schema);
const errorsOf = (spec: unknown): string[] => structural.validate({ spec }).map(formatFieldError);
const model = { uri: "hf://a/b" };

describe("validation words errors as the API server does", () => {
  const cases: [name: string, spec: unknown, errors: string[]][] = [
    ["a good object", { model, replicas: 0, percent: "10%", memory: 4, tags: ["a"], labels: { a: "b" } }, []],
    ["missing", {}, ["spec.model: Required value"]],
    [
      "wrong type",
      { model, replicas: "three" },
      ['spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"'],
    ],
    ["null", { model: null }, ['spec.model: Invalid value: "null": spec.model in body must be of type object: "null"']],
    ["allowed null", { model, maybe: null }, []],
    [
      "minimum",
      { model, replicas: -1 },
      ["spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0"],
    ],
    ["enum", { model, policy: "fifo" }, ['spec.policy: Unsupported value: "fifo": supported values: "lru", "arc"']],
    [
      "int or string",
      { model, percent: true },
      ['spec.percent: Invalid value: "boolean": spec.percent in body must be of type integer,string: "boolean"'],
    ],
    [
      "quantity",
      { model, memory: "1Gb" },
      [`spec.memory: Invalid value: "1Gb": spec.memory in body should match '${QUANTITY_PATTERN}'`],
    ],
    [
      "too short",
      { model: { uri: "" } },
      ['spec.model.uri: Invalid value: "": spec.model.uri in body should be at least 1 chars long'],
    ],
    [
      "duplicate list-map key",
      { model, ports: [{ containerPort: 1 }, { containerPort: 1, protocol: "UDP" }, { containerPort: 1 }] },
      ['spec.ports[2]: Duplicate value: {"containerPort":1}'],
    ],
    ["duplicate set entry", { model, tags: ["a", "b", "a"] }, ['spec.tags[2]: Duplicate value: "a"']],
    [
      "too many",
      { model, ports: [1, 2, 3, 4].map((containerPort) => ({ containerPort })) },
      ["spec.ports: Too many: 4: must have at most 3 items"],
    ],
    [
      "int32 overflow",
      { model, replicas: 3_000_000_000 },
      ['spec.replicas: Invalid value: 3000000000: spec.replicas in body must be of type int32: "3000000000"'],
    ],
    [
      "format",
      { model, when: "yesterday" },
      ['spec.when: Invalid value: "yesterday": spec.when in body must be of type date-time: "yesterday"'],
    ],
    [
      "one of",
      { model, choice: {} },
      ['spec.choice: Invalid value: {}: "spec.choice" must validate one and only one schema (oneOf). Found none valid'],
    ],
  ];
  test.each(cases)("%s", (_name, spec, errors) => expect(errorsOf(spec)).toEqual(errors));

  test("all errors come at once, joined as in a status message", () => {
    const errors = structural.validate({ spec: { replicas: 1.5, labels: { "a.b/c": 3 }, ports: [{}] } });
    expect(formatFieldErrors(errors)).toBe(
      "[spec.model: Required value, " +
        'spec.replicas: Invalid value: "number": spec.replicas in body must be of type integer: "number", ' +
        'spec.labels.a.b/c: Invalid value: "integer": spec.labels.a.b/c in body must be of type string: "integer", ' +
        "spec.ports[0].containerPort: Required value]",
    );
    expect(errors.map(fieldErrorReason)[0]).toBe("FieldValueRequired");
  });

  test("metadata of a resource follows ObjectMeta", () => {
    const metadata = { name: "x", labels: { a: 1 } };
    expect(structural.validate({ metadata }).map((error) => error.path)).toEqual(["metadata.labels.a"]);
  });

  test("rules run through the engine with old values of list-map elements", () => {
    const seen: unknown[] = [];
    const ruled: JsonSchema = {
      type: "array",
      items: { ...port, "x-kubernetes-validations": [{ rule: "self.containerPort > 0" }] },
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["containerPort"],
    };
    const engine = {
      compile: () => (self: unknown, old: unknown, path: string) => {
        seen.push([self, old, path]);
        return [{ path, kind: "Invalid" as const, message: "no" }];
      },
    };
    const errors = createStructural(ruled, { rules: engine }).validate(
      [{ containerPort: 2 }],
      [{ containerPort: 1 }, { containerPort: 2, protocol: "UDP" }],
    );
    expect(seen).toEqual([[{ containerPort: 2 }, { containerPort: 2, protocol: "UDP" }, "[0]"]]);
    expect(errors.map(formatFieldError)).toEqual(["[0]: Invalid value: no"]);
  });

  test("on an update what has not changed passes", () => {
    const old = { spec: { model: { name: 1 }, ports: [{ containerPort: "x" }] } };
    const paths = (next: unknown): string[] => structural.validate(next, old).map((error) => error.path);
    expect(paths(structuredClone(old))).toEqual([]);
    const changed = { spec: { ...old.spec, model: { name: 2 } } };
    expect(paths(changed).every((path) => path.startsWith("spec.model"))).toBe(true);
    expect(paths(changed)).not.toEqual([]);
  });
});

describe("pruning", () => {
  test("drops unknown fields in place and names them", () => {
    const object = {
      metadata: { name: "x", bogus: 1 },
      spec: {
        model: { uri: "a", x: 1 },
        ports: [{ containerPort: 1, y: {} }],
        labels: { any: "thing" },
        inline: { free: { form: 1 }, known: { containerPort: 1, z: 1 } },
        manifest: { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: 1 },
      },
      other: 1,
    };
    expect(structural.prune(object)).toEqual([
      "metadata.bogus",
      "spec.model.x",
      "spec.ports[0].y",
      "spec.inline.known.z",
      "spec.manifest.spec",
      "other",
    ]);
    expect(object.spec.inline).toEqual({ free: { form: 1 }, known: { containerPort: 1 } });
    expect(object.spec.manifest).toEqual({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" } });
  });

  test("a pruned value has nothing more to prune, whatever it was", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copy = structuredClone(value);
        structural.prune({ spec: copy });
        expect(structural.prune({ spec: copy })).toEqual([]);
      }),
    );
  });
});

describe("defaulting", () => {
  test("fills absent and disallowed null fields, keeps allowed nulls, creates no objects", () => {
    const object = {
      spec: { model: null, policy: null, maybe: null, ports: [{ containerPort: 1 }], labels: { a: null } },
    };
    structural.applyDefaults(object);
    expect(object).toEqual({
      spec: { policy: "lru", maybe: null, ports: [{ containerPort: 1, protocol: "TCP" }], labels: {} },
    });
    const empty = {};
    structural.applyDefaults(empty);
    expect(empty).toEqual({});
  });

  test("applied defaults are copies", () => {
    const shared = createStructural({ type: "object", properties: { list: { type: "array", default: [] } } });
    const [a, b] = [{ list: undefined as unknown[] | undefined }, {}];
    shared.applyDefaults(a);
    a.list?.push(1);
    shared.applyDefaults(b);
    expect(b).toEqual({ list: [] });
  });
});
