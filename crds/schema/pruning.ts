import { isObject } from "../json.ts";
import { childPath, itemPath } from "./paths.ts";
import type { SchemaNode } from "./nodes.ts";
import type { Json, JsonObject } from "./types.ts";

/** Removes fields unknown to the schema, in place; returns their paths in document order. */
export function pruneNode(node: SchemaNode, value: Json): string[] {
  const dropped: string[] = [];
  prune(node, value, "", dropped);
  return dropped;
}

function prune(node: SchemaNode, value: Json, path: string, dropped: string[]): void {
  if (Array.isArray(value)) {
    const items = node.items;
    if (items === undefined || !descends(items)) return;
    for (const [index, item] of value.entries()) prune(items, item, itemPath(path, index), dropped);
  } else if (isObject(value)) {
    pruneObject(node, value, path, dropped);
  }
}

/** Only containers can hold unknown fields. */
function descends(node: SchemaNode): boolean {
  return (
    node.properties.size > 0 || node.values !== undefined || node.items !== undefined || node.types[0] === "object"
  );
}

function pruneObject(node: SchemaNode, value: JsonObject, path: string, dropped: string[]): void {
  for (const key of Object.keys(value)) {
    const child = node.properties.get(key) ?? node.values;
    if (child !== undefined) {
      const next = value[key];
      if (typeof next === "object" && next !== null) prune(child, next, childPath(path, key), dropped);
    } else if (!node.preservesUnknown) {
      dropped.push(childPath(path, key));
      delete value[key];
    }
  }
}
