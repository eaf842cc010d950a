import { isObject } from "../json.ts";
import type { Json, JsonObject, JsonSchema } from "./types.ts";

/** Names that CEL keeps for itself, so that fields of these names are spelt `__name__` in rules. */
const RESERVED = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

const ESCAPES: readonly (readonly [string, string])[] = [
  ["__", "__underscores__"],
  [".", "__dot__"],
  ["-", "__dash__"],
  ["/", "__slash__"],
];

/** The name of a field in a rule, as Kubernetes escapes it. */
export function celName(name: string): string {
  if (RESERVED.has(name)) return `__${name}__`;
  return /^[A-Za-z0-9]*$/.test(name) ? name : ESCAPES.reduce((text, [from, to]) => text.replaceAll(from, to), name);
}

/**
 * A JSON value as CEL sees it by its schema: integers as 64-bit ints, date-times as timestamps, fields under their escaped
 * names. `fields` limits what of an object is taken over to those of these escaped names.
 */
export function celValue(value: Json, schema: JsonSchema | undefined, fields?: ReadonlySet<string>): unknown {
  if (typeof value === "number") return schema?.type === "number" || !Number.isInteger(value) ? value : BigInt(value);
  if (typeof value === "string") return schema?.format === "date-time" ? new Date(value) : value;
  if (Array.isArray(value)) return Array.from(value, (item) => celValue(item, schema?.items));
  return isObject(value) ? celObject(value, schema, fields) : value;
}

function celObject(value: JsonObject, schema: JsonSchema | undefined, fields?: ReadonlySet<string>): unknown {
  const result: Record<string, unknown> = {};
  const values = typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
  for (const key of Object.keys(value)) {
    const property = schema?.properties?.[key];
    const name = values === undefined ? celName(key) : key;
    if (fields === undefined || fields.has(name)) result[name] = celValue(value[key]!, property ?? values);
  }
  return result;
}
