import type { Json, JsonObject } from "./schema/types.ts";

/** Whether a JSON value is an object. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a path of object keys; undefined where a step is missing. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((current, key) => (isObject(current) ? current[key] : undefined), value);
}

/** The object at a path; undefined where there is none. */
export function objectAt(value: Json | undefined, ...path: readonly string[]): JsonObject | undefined {
  const found = at(value, ...path);
  return isObject(found) ? found : undefined;
}

/** The list at a path; empty where there is none. */
export function listAt(value: Json | undefined, ...path: readonly string[]): readonly Json[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** The text at a path; undefined where there is none. */
export function textAt(value: Json | undefined, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === "string" ? found : undefined;
}

/** The number at a path; undefined where there is none. */
export function numberAt(value: Json | undefined, ...path: readonly string[]): number | undefined {
  const found = at(value, ...path);
  return typeof found === "number" ? found : undefined;
}

/** A copy with the value at a path replaced, or removed where it is undefined; objects on the way are made as needed. */
export function withAt(value: JsonObject, path: readonly string[], replacement: Json | undefined): JsonObject {
  const [key = "", ...rest] = path;
  const inner = rest.length === 0 ? replacement : withAt(objectAt(value, key) ?? {}, rest, replacement);
  const { [key]: _replaced, ...others } = value;
  return inner === undefined ? others : { ...value, [key]: inner };
}
