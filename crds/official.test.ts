import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { parseQuantity } from "../kube/quantity.ts";
import { parseYaml } from "../kube/yaml.ts";
import { readShared } from "../test/corpus.ts";
import { arbitraryOf } from "../test/schema-arbitrary.ts";
import { customResourceDefinitions } from "./definitions.ts";
import { at, listAt, textAt } from "./json.ts";
import { createRuleEngine } from "./schema/rules.ts";
import { type Structural, createStructural } from "./schema/structural.ts";
import { type Json, type JsonObject, type JsonSchema, formatFieldError } from "./schema/types.ts";

const FOLDER = "reference/crds/kserve/main-2026-08-21/";
/** What an object of etcd may hold (1.5 MiB), less room for managed fields and status. */
const MAX_BYTES = 1_400_000;

const ours = customResourceDefinitions();
const theirs = ours.map(
  (crd) =>
    parseYaml(readShared(`${FOLDER}serving.kserve.io_${textAt(crd, "spec", "names", "plural")}.yaml`)) as JsonObject,
);

const schemaOf = (crd: JsonObject, version: string): JsonSchema => {
  const entry = listAt(crd, "spec", "versions").find((candidate) => textAt(candidate, "name") === version);
  return at(entry, "schema", "openAPIV3Schema") as unknown as JsonSchema;
};

const PAIRS = ours.flatMap((crd, index) =>
  ["v1alpha1", "v1alpha2"].map((version) => ({
    name: `${textAt(crd, "spec", "names", "kind")} ${version}`,
    own: schemaOf(crd, version),
    official: schemaOf(theirs[index]!, version),
  })),
);

/** Differences by design; each makes ours take more, or lets a client say more. */
const BY_DESIGN: readonly (readonly [what: string, pattern: RegExp])[] = [
  ["a part of a pool is enough", /\.pool\.spec\b.*: (required|minProperties)/],
  ["the key of a ConfigMap has a default", /\.config\.ref: required/],
  ["a tokenizer's containers come from the preset", /\.tokenizer\.template: required/],
  ["a scheduler configuration may be text", /\.config\.inline: type/],
  ["conditions merge by type", /\.conditions: x-kubernetes-list-(type|map-keys)/],
  ["values that nobody wrote must not hide a base's", /: default/],
  ["the name of KEDA's autoscaler is checked where it is written", /\.keda: rules/],
  ["both versions tell the whole status", /^\.status\.\S+: new/],
  ["plugins of the default profile without a whole configuration", /(scorerPlugins|pickerPlugin): new/],
];

/** Keywords that have to be equal; absent and the neutral value are the same. */
const EQUAL: readonly (readonly [keyword: keyof JsonSchema, neutral?: Json])[] = [
  ["type"],
  ["format"],
  ["enum"],
  ["pattern"],
  ["minimum"],
  ["maximum"],
  ["minLength", 0],
  ["maxLength"],
  ["minItems"],
  ["maxItems"],
  ["minProperties"],
  ["maxProperties"],
  ["nullable", false],
  ["default"],
  ["required"],
  ["x-kubernetes-list-type", "atomic"],
  ["x-kubernetes-list-map-keys"],
  ["x-kubernetes-map-type"],
  ["x-kubernetes-int-or-string", false],
  ["x-kubernetes-preserve-unknown-fields", false],
];

function differences(own: JsonSchema, official: JsonSchema, path: string): string[] {
  const keywords = EQUAL.filter(
    ([keyword, neutral]) =>
      (own.type === "array" || !keyword.startsWith("x-kubernetes-list")) &&
      JSON.stringify(own[keyword] ?? neutral) !== JSON.stringify(official[keyword] ?? neutral),
  ).map(([keyword]) => `${path}: ${keyword}`);
  const rules = official["x-kubernetes-validations"] !== undefined && own["x-kubernetes-validations"] === undefined;
  const [mine = {}, others = {}] = [own.properties, official.properties];
  const fields = [...new Set([...Object.keys(mine), ...Object.keys(others)])].flatMap((key) => {
    const [a, b] = [mine[key], others[key]];
    if (a === undefined || b === undefined) return [`${path}.${key}: ${a === undefined ? "missing" : "new"}`];
    return differences(a, b, `${path}.${key}`);
  });
  return [...keywords, ...(rules ? [`${path}: rules`] : []), ...fields, ...nested(own, official, path)];
}

function nested(own: JsonSchema, official: JsonSchema, path: string): string[] {
  return [
    [own.items, official.items] as const,
    [own.additionalProperties, official.additionalProperties] as const,
  ].flatMap(([a, b]) => {
    if (typeof b !== "object") return [];
    return typeof a === "object" ? differences(a, b, `${path}[]`) : [`${path}[]: missing`];
  });
}

/** Paths of fields without a description. */
function undescribed(schema: JsonSchema, path: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const own = /[.)]$/.test(property.description ?? "") ? [] : [`${path}.${key}`];
    const items =
      property.items ?? (typeof property.additionalProperties === "object" ? property.additionalProperties : {});
    return [...own, ...undescribed(property, `${path}.${key}`), ...undescribed(items, `${path}.${key}[]`)];
  });
}

describe("our definitions beside the official ones", () => {
  const found = PAIRS.map(({ own, official, name }) => [name, differences(own, official, "")] as const);

  test.each(found)("%s differs by design only", (_name, all) => {
    expect(all.filter((text) => !BY_DESIGN.some(([, pattern]) => pattern.test(text)))).toEqual([]);
  });

  test.each(BY_DESIGN)("there is a difference: %s", (_what, pattern) => {
    expect(found.some(([, all]) => all.some((text) => pattern.test(text)))).toBe(true);
  });

  test.each(ours.map((crd, index) => [textAt(crd, "spec", "names", "kind")!, crd, theirs[index]!] as const))(
    "%s has the official names, columns and sub-resources",
    (_kind, own, official) => {
      for (const part of ["names", "group", "scope"]) expect(at(own, "spec", part)).toEqual(at(official, "spec", part));
      listAt(official, "spec", "versions").forEach((version) => {
        const twin = listAt(own, "spec", "versions").find((entry) => textAt(entry, "name") === textAt(version, "name"));
        for (const part of ["additionalPrinterColumns", "served", "storage"])
          expect(at(twin, part)).toEqual(at(version, part));
        expect(at(twin, "subresources")).toMatchObject(at(version, "subresources") as JsonObject);
      });
    },
  );

  test.each(PAIRS)("every field of $name is described", ({ own, name }) => {
    // Pods are described in the stored version alone.
    const open = undescribed(own, "").filter(
      (path) => name.endsWith("v1alpha2") || !/\.(template|worker)\./.test(path),
    );
    expect(open.filter((path) => !path.startsWith(".metadata"))).toEqual([]);
  });

  test.each(ours)("a definition fits into etcd (%#)", (crd) => {
    expect(Buffer.byteLength(JSON.stringify(crd))).toBeLessThan(MAX_BYTES);
  });
});

describe("our rules beside the official ones", () => {
  const rules = createRuleEngine(parseQuantity);
  const service = PAIRS.find(({ name }) => name === "LLMInferenceService v1alpha2")!;
  const part = (schema: JsonSchema, path: string): JsonSchema =>
    path.split(".").reduce((current, key) => current.properties![key]!, schema);
  /** The official rules on KEDA's settings select fields that may be absent, so that they never pass; here they look first. */
  const repaired = (schema: JsonSchema): JsonSchema =>
    JSON.parse(
      JSON.stringify(schema).replaceAll(
        /size\((self[\w.]*)\.(\w+)\.(\w+)\) == 0/g,
        "(!has($1.$2) || !has($1.$2.$3) || size($1.$2.$3) == 0)",
      ),
    ) as JsonSchema;
  const withDefaults = (structural: Structural, value: Json): Json => {
    const copy = structuredClone(value);
    structural.applyDefaults(copy);
    return copy;
  };

  test.each(["spec.scaling", "spec.router.route.http.spec", "spec.router.gateway", "spec.router.scheduler.pool"])(
    "%s: both take the same objects",
    (path) => {
      const official = repaired(part(service.official, path));
      const [mine, other] = [part(service.own, path), official].map((schema) => createStructural(schema, { rules }));
      let refused = 0;
      fc.assert(
        fc.property(arbitraryOf(official, { density: 35, longest: 2 }), (value) => {
          const errors = other!.validate(withDefaults(other!, value)).map(formatFieldError);
          if (errors.length > 0) refused++;
          const own = mine!.validate(value).map(formatFieldError);
          if (own.length > 0 !== errors.length > 0) throw new Error(JSON.stringify({ own, errors }));
        }),
        { numRuns: 300 },
      );
      if (path !== "spec.router.gateway") expect(refused).toBeGreaterThan(10);
    },
  );
});
