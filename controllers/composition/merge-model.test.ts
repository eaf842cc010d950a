import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { isObject } from "../../crds/json.ts";
import { mergeLayers } from "./merge.ts";

/*
 * A second, naive reading of the merge rules: field by field from a table, lists put in order by looking each element up.
 * It shares nothing with the product but the table of Kubernetes' merge keys.
 */

const KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  env: "name",
  ports: "containerPort",
  volumeMounts: "mountPath",
  volumes: "name",
  imagePullSecrets: "name",
  hostAliases: "ip",
  topologySpreadConstraints: "topologyKey",
};
/** No pointers in Go: their zero says nothing. */
const VALUES = new Set(["expert", "hostNetwork", "periodSeconds", "failureThreshold", "readOnly"]);
/** One member of these excludes the others. */
const SOURCES = new Set(["emptyDir", "secret", "configMap", "value", "valueFrom", "exec", "httpGet"]);

const saysNothing = (key: string, value: Json): boolean =>
  value === "" || (Array.isArray(value) && value.length === 0) || (VALUES.has(key) && (value === 0 || value === false));

/** Kubernetes' order: an element of the base goes before the one of the override that it precedes in the base. */
function ordered(base: readonly string[], over: readonly string[], rest: readonly string[]): string[] {
  const [left, right, result] = [[...over], [...rest], [] as string[]];
  while (left.length > 0 && right.length > 0) {
    const [next, other] = [left[0] ?? "", right[0] ?? ""];
    const precedes = base.includes(next) && base.indexOf(other) < base.indexOf(next);
    result.push((precedes ? right : left).shift() ?? "");
  }
  return [...result, ...left, ...right];
}

function mergeList(base: readonly Json[], over: readonly Json[], key: string): Json[] {
  const idOf = (item: Json): string => JSON.stringify((item as JsonObject)[key]);
  const [ids, overIds] = [base.map(idOf), over.map(idOf)];
  const deleted = new Set(over.filter((item) => (item as JsonObject)["$patch"] === "delete").map(idOf));
  const merged = (id: string): Json => {
    const [old, now] = [base[ids.indexOf(id)], over[overIds.indexOf(id)]];
    if (now === undefined) return old ?? null;
    return mergeObject(isObject(old) ? old : {}, now as JsonObject, true);
  };
  const kept = overIds.filter((id) => !deleted.has(id));
  const rest = ids.filter((id) => !overIds.includes(id));
  return ordered(ids, kept, rest).map(merged);
}

function mergeObject(base: JsonObject, over: JsonObject, union = false): JsonObject {
  const given = Object.entries(over).filter(([key, value]) => !saysNothing(key, value));
  const chosen = given.map(([key]) => key).filter((key) => SOURCES.has(key));
  const lapses = (key: string): boolean => union && SOURCES.has(key) && chosen.length > 0 && !chosen.includes(key);
  const result: JsonObject = Object.fromEntries(Object.entries(base).filter(([key]) => !lapses(key)));
  for (const [key, value] of given) {
    const old = result[key];
    const mergeKey = KEYS[key];
    if (value === null) delete result[key];
    else if (Array.isArray(value) && mergeKey !== undefined)
      result[key] = mergeList(Array.isArray(old) ? old : [], value, mergeKey);
    else if (isObject(value))
      result[key] = ["labels", "nodeSelector"].includes(key)
        ? { ...(isObject(old) ? old : {}), ...value }
        : mergeObject(isObject(old) ? old : {}, value, key.endsWith("Probe") || key === "valueFrom");
    else result[key] = value;
  }
  return result;
}

const word = fc.constantFrom("a", "b", "c", "d", "e");
const maybeEmpty = fc.oneof(word, fc.constant(""));
const list = <T extends JsonObject>(item: fc.Arbitrary<T>, key: string): fc.Arbitrary<T[]> =>
  fc.uniqueArray(item, { selector: (entry) => JSON.stringify(entry[key]), maxLength: 3 });

const some = <T extends Readonly<Record<string, fc.Arbitrary<Json>>>>(model: T, required: readonly string[] = []) =>
  fc.record(model, { requiredKeys: required as never[] }) as unknown as fc.Arbitrary<JsonObject>;

const env = fc.oneof(
  some({ name: word, value: maybeEmpty }, ["name", "value"]),
  fc.record({ name: word, valueFrom: fc.constant<JsonObject>({ fieldRef: { fieldPath: "x" } }) }),
) as unknown as fc.Arbitrary<JsonObject>;
const probe = some({
  periodSeconds: fc.nat(2),
  failureThreshold: fc.nat(2),
  httpGet: some({ path: word, port: fc.nat(2) }),
  exec: some({ command: fc.array(word, { maxLength: 2 }) }),
});
const container = some(
  {
    name: word,
    image: maybeEmpty,
    args: fc.array(word, { maxLength: 2 }),
    env: list(env, "name"),
    ports: list(some({ containerPort: fc.nat(2), name: maybeEmpty }, ["containerPort"]), "containerPort"),
    volumeMounts: list(some({ mountPath: word, name: word, readOnly: fc.boolean() }, ["mountPath"]), "mountPath"),
    livenessProbe: probe,
  },
  ["name"],
);
const volume = some({ name: word, emptyDir: some({ medium: word }), secret: some({ secretName: word }) }, ["name"]);
const pod = some({
  containers: list(container, "name"),
  initContainers: list(container, "name"),
  volumes: list(volume, "name"),
  tolerations: fc.array(some({ key: word }), { maxLength: 2 }),
  nodeSelector: fc.dictionary(word, maybeEmpty, { maxKeys: 3 }),
  imagePullSecrets: list(some({ name: word }, ["name"]), "name"),
  hostNetwork: fc.boolean(),
  terminationGracePeriodSeconds: fc.nat(2),
  serviceAccountName: maybeEmpty,
});
const workload = {
  replicas: fc.nat(2),
  labels: fc.dictionary(word, maybeEmpty, { maxKeys: 3 }),
  parallelism: some({ data: fc.nat(2), tensor: fc.nat(2), expert: fc.boolean() }),
};
const spec = some({ ...workload, template: pod, prefill: some({ ...workload, worker: pod }) });

const layersOf = (specs: readonly JsonObject[]) =>
  specs.map((layer, index) => ({ label: `layer ${index}`, spec: layer }));
const modelled = (specs: readonly JsonObject[]): JsonObject =>
  specs.reduce<JsonObject>((base, layer) => mergeObject(base, layer), {});

const merged = (specs: readonly JsonObject[]): JsonObject => mergeLayers(layersOf(specs));

describe("merging, read a second time", () => {
  test("gives the same, in the same order", () => {
    fc.assert(
      fc.property(fc.array(spec, { minLength: 2, maxLength: 3 }), (specs) => {
        expect(merged(specs)).toEqual(modelled(specs));
        expect(JSON.stringify(merged(specs).template)).toBe(JSON.stringify(sorted(specs)));
      }),
      { numRuns: 100 },
    );
  });

  /** The model's template with keys in the product's order: what counts is the order of lists. */
  function sorted(specs: readonly JsonObject[]): Json | undefined {
    const align = (value: Json | undefined, like: Json | undefined): Json | undefined => {
      if (Array.isArray(value))
        return value.map((item, index) => align(item, (like as Json[] | undefined)?.[index]) ?? null);
      if (!isObject(value) || !isObject(like)) return value;
      return Object.fromEntries(Object.keys(like).map((key) => [key, align(value[key], like[key]) ?? null]));
    };
    return align(modelled(specs)["template"], merged(specs)["template"]);
  }

  test("a deletion takes an element out, null a field", () => {
    const names = fc.uniqueArray(word, { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(names, names, fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), (base, over, deleting) => {
        const first = { template: { containers: base.map((name) => ({ name, image: "i" })), hostname: "h" } };
        const second = {
          template: {
            containers: over.map((name, index) => (deleting[index] === true ? { name, $patch: "delete" } : { name })),
            hostname: null,
          },
        };
        expect(merged([first, second])).toEqual(modelled([first, second]));
      }),
    );
  });

  test("folding from the left is folding at once", () => {
    fc.assert(
      fc.property(spec, spec, spec, (a, b, c) => {
        expect(merged([merged([a, b]), c])).toEqual(merged([a, b, c]));
      }),
      { numRuns: 30 },
    );
  });

  test("merging a layer twice is merging it once, and no input changes", () => {
    fc.assert(
      fc.property(spec, spec, (a, b) => {
        const before = JSON.stringify([a, b]);
        expect(merged([a, b, b])).toEqual(merged([a, b]));
        expect(JSON.stringify([a, b])).toBe(before);
      }),
      { numRuns: 30 },
    );
  });
});

describe("directives of strategic merge in a layer", () => {
  const base = {
    template: { containers: [{ name: "a", args: ["1"] }, { name: "b" }], volumes: [{ name: "v", emptyDir: {} }] },
  };
  test.each<[string, JsonObject, JsonObject]>([
    [
      "$patch: replace on an object",
      { template: { $patch: "replace", hostname: "h" } },
      { template: { hostname: "h" } },
    ],
    [
      "$patch: replace in a list",
      { template: { containers: [{ $patch: "replace" }, { name: "c" }] } },
      { template: { containers: [{ name: "c" }], volumes: [{ name: "v", emptyDir: {} }] } },
    ],
    [
      "$setElementOrder",
      { template: { "$setElementOrder/containers": [{ name: "b" }, { name: "a" }] } },
      { template: { containers: [{ name: "b" }, { name: "a", args: ["1"] }], volumes: [{ name: "v", emptyDir: {} }] } },
    ],
    [
      "$retainKeys",
      { template: { volumes: [{ name: "v", $retainKeys: ["name", "secret"], secret: {} }] } },
      { template: { containers: [{ name: "a", args: ["1"] }, { name: "b" }], volumes: [{ name: "v", secret: {} }] } },
    ],
  ])("%s", (_what, over, expected) => expect(merged([base, over])).toEqual(expected));
});
