import type { Json, JsonObject } from "./schema/types.ts";

/** Whether a value is a JSON object: not null, not a list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a path of object keys; undefined where a step is missing. Any text may be a key, such as `valueOf`. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let current = value;
  for (const key of path) current = isObject(current) && Object.hasOwn(current, key) ? current[key] : undefined;
  return current;
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

/** Structural equality of JSON values; the order of keys does not count. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const [leftEntries, rightKeys] = [Object.entries(left), Object.keys(right)];
  if (leftEntries.length !== rightKeys.length) return false;
  const other = right as Readonly<Record<string, unknown>>;
  return leftEntries.every(([key, value]) => Object.hasOwn(other, key) && sameJson(value, other[key]));
}
