import fc from "fast-check";
import type { Json, JsonObject, JsonSchema } from "../crds/schema/types.ts";

/** Texts of many forms, so that most patterns are met by some and rules meet their edge cases. */
const TEXTS =
  "a b main x-1 example.com *.example.com * / /a /a/b //a /a/../b /a/. http://a.b https://c.d 10s 0s 1h 500ms 1 8 Service InferencePool Gateway X-Header Exact PathPrefix Cookie 10.0 hf://a/b {{.Name}} Valid.Name".split(
    " ",
  );

/** How values are made. */
export interface ArbitraryOptions {
  /** Optional fields that are there, of 100. */
  readonly density: number;
  /** Elements of a list at most, where its schema allows more. */
  readonly longest: number;
}

const DEFAULTS: ArbitraryOptions = { density: 25, longest: 2 };

/** Values that conform to a schema, its rules apart. Nulls are not made. */
export function arbitraryOf(schema: JsonSchema, options: Partial<ArbitraryOptions> = {}): fc.Arbitrary<Json> {
  return new Generator({ ...DEFAULTS, ...options }).of(schema);
}

class Generator {
  readonly #options: ArbitraryOptions;
  readonly #known = new Map<JsonSchema, fc.Arbitrary<Json>>();

  constructor(options: ArbitraryOptions) {
    this.#options = options;
  }

  of(schema: JsonSchema): fc.Arbitrary<Json> {
    const known = this.#known.get(schema) ?? this.#make(schema);
    this.#known.set(schema, known);
    return known;
  }

  #make(schema: JsonSchema): fc.Arbitrary<Json> {
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    if (schema["x-kubernetes-int-or-string"] === true) return fc.constantFrom<Json>(1, 20, "1", "500m", "1Gi");
    switch (schema.type) {
      case "string":
        return fc.constantFrom(...textsOf(schema));
      case "integer":
        return fc.integer({ min: schema.minimum ?? -3, max: Math.min(schema.maximum ?? 9, (schema.minimum ?? 0) + 9) });
      case "number":
        return fc.integer({ min: schema.minimum ?? 0, max: 9 }).map((number) => number / 2);
      case "boolean":
        return fc.boolean();
      case "array":
        return this.#list(schema);
      case "object":
        return this.#object(schema);
      case undefined:
        break;
    }
    return fc.constantFrom<Json>({ free: 1 }, { list: [1, "a"] });
  }

  #list(schema: JsonSchema): fc.Arbitrary<Json> {
    const items = this.of(schema.items ?? {});
    const bounds = {
      minLength: schema.minItems ?? 0,
      maxLength: Math.min(schema.maxItems ?? 9, this.#options.longest),
    };
    const keys = schema["x-kubernetes-list-map-keys"];
    if (keys !== undefined)
      return fc.uniqueArray(items, {
        ...bounds,
        selector: (item) => JSON.stringify(keys.map((key) => (item as JsonObject)[key])),
      });
    return schema["x-kubernetes-list-type"] === "set" ? fc.uniqueArray(items, bounds) : fc.array(items, bounds);
  }

  #object({ properties = {}, required = [], additionalProperties, minProperties = 0 }: JsonSchema): fc.Arbitrary<Json> {
    if (typeof additionalProperties === "object")
      return fc.dictionary(fc.constantFrom("app", "k"), this.of(additionalProperties), { minKeys: minProperties });
    const entries = Object.entries(properties).map(([key, property]) =>
      (required.includes(key) ? fc.constant(true) : this.#isThere()).chain((isThere) =>
        isThere
          ? this.of(property).map((value): [string, Json][] => [[key, value]])
          : fc.constant<[string, Json][]>([]),
      ),
    );
    return fc.tuple(...entries).map((found) => Object.fromEntries(found.flat()));
  }

  #isThere(): fc.Arbitrary<boolean> {
    const { density } = this.#options;
    return fc.oneof(
      { weight: density, arbitrary: fc.constant(true) },
      { weight: 100 - density, arbitrary: fc.constant(false) },
    );
  }
}

function textsOf({ pattern, minLength = 0, maxLength = Infinity, format }: JsonSchema): readonly string[] {
  if (format === "date-time") return ["2026-01-02T03:04:05Z"];
  const expression = new RegExp(pattern ?? "");
  const found = TEXTS.filter((text) => text.length >= minLength && text.length <= maxLength && expression.test(text));
  if (found.length === 0) throw new Error(`no text matches ${pattern}`);
  return found;
}
