import type { Json } from "./types.ts";

/** `path.key`, or the key alone at the root. */
export function childPath(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

/** `path[index]`. */
export function itemPath(path: string, index: number): string {
  return `${path}[${index}]`;
}

/** JSON-schema type name of a value; whole numbers are `integer`. */
export function typeName(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}
