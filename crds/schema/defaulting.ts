import { isObject } from "../json.ts";
import type { SchemaNode } from "./nodes.ts";
import type { Json, JsonObject } from "./types.ts";

/**
 * Applies defaults in place with the API server's rules: a null where the schema is not nullable counts as absent (it is
 * replaced by the default, or dropped), a null in a nullable field stays, and objects that are absent are not created
 * unless they have a default of their own.
 */
export function applyNodeDefaults(node: SchemaNode, value: Json): void {
  if (Array.isArray(value)) defaultItems(node, value);
  else if (isObject(value)) defaultObject(node, value);
}

function defaultItems(node: SchemaNode, list: Json[]): void {
  const items = node.items;
  if (items === undefined) return;
  const fallback = items.schema.default;
  for (const [index, item] of list.entries()) {
    if (item === null && !items.nullable && fallback !== undefined) list[index] = structuredClone(fallback);
    const current = list[index];
    if (typeof current === "object" && current !== null) applyNodeDefaults(items, current);
  }
}

function defaultObject(node: SchemaNode, value: JsonObject): void {
  for (const key of Object.keys(value)) {
    const child = node.properties.get(key) ?? node.values;
    if (child === undefined) continue;
    if (value[key] === null && !child.nullable) {
      delete value[key];
      if (!node.properties.has(key) && child.schema.default !== undefined) {
        value[key] = structuredClone(child.schema.default);
      }
    }
  }
  for (const [key, fallback] of node.propertyDefaults) {
    if (value[key] === undefined) value[key] = structuredClone(fallback);
  }
  for (const key of Object.keys(value)) {
    const next = value[key];
    if (typeof next !== "object" || next === null) continue;
    const child = node.properties.get(key) ?? node.values;
    if (child !== undefined) applyNodeDefaults(child, next);
  }
}
