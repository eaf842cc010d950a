import type { JsonSchema } from "./types.ts";

/** A copy of a schema in which neither it nor any schema in it has these keywords. What is shared in it stays shared. */
export function withoutKeywords(schema: JsonSchema, keywords: readonly (keyof JsonSchema)[]): JsonSchema {
  return new Remover(keywords).copy(schema);
}

class Remover {
  readonly #keywords: ReadonlySet<string>;
  readonly #copies = new Map<JsonSchema, JsonSchema>();

  constructor(keywords: readonly string[]) {
    this.#keywords = new Set(keywords);
  }

  copy(schema: JsonSchema): JsonSchema {
    const known = this.#copies.get(schema);
    if (known !== undefined) return known;
    const kept = Object.fromEntries(Object.entries(schema).filter(([keyword]) => !this.#keywords.has(keyword)));
    const result: JsonSchema = { ...kept, ...this.#nested(schema) };
    this.#copies.set(schema, result);
    return result;
  }

  #nested({ properties, items, additionalProperties }: JsonSchema): Partial<JsonSchema> {
    return {
      ...(properties === undefined
        ? {}
        : {
            properties: Object.fromEntries(
              Object.entries(properties).map(([name, property]) => [name, this.copy(property)]),
            ),
          }),
      ...(items === undefined ? {} : { items: this.copy(items) }),
      ...(typeof additionalProperties === "object" ? { additionalProperties: this.copy(additionalProperties) } : {}),
    };
  }
}

/**
 * A copy of a schema whose objects may be given in part: nothing is required and nothing defaulted, and maps may be
 * empty, except inside of lists, whose elements are always whole.
 */
export function partial(schema: JsonSchema): JsonSchema {
  const { required: _required, default: _default, minProperties: _least, properties, ...rest } = schema;
  if (properties === undefined) return rest;
  const entries = Object.entries(properties).map(([name, property]) => [name, partial(property)] as const);
  return { ...rest, properties: Object.fromEntries(entries) };
}
