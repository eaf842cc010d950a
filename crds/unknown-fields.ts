import { isObject } from "./json.ts";
import type { Json, JsonObject, JsonSchema } from "./schema/types.ts";
import { closest } from "./suggest.ts";

/** A field of an object that its schema does not have, as text: with the field that was probably meant. */
export function describeUnknown(path: string, object: JsonObject, root: JsonSchema): string {
  const remedy = remedyFor(path, object, root);
  return `unknown field ${JSON.stringify(path)}${remedy === undefined ? "" : `; ${remedy}`}`;
}

function remedyFor(path: string, object: JsonObject, root: JsonSchema): string | undefined {
  const steps = path.split(".");
  const [parent, name = ""] = [steps.slice(0, -1), steps.at(-1)];
  const siblings = Object.keys(schemaAt(root, parent)?.properties ?? {});
  const inside = Object.keys(objectAtSteps(object, steps));
  if (inside.length > 0 && inside.every((key) => siblings.includes(key)))
    return `its fields (${inside.join(", ")}) belong into ${parent.join(".")} itself`;
  const likely = closest(name, siblings, 1);
  const prefix = parent.length === 0 ? "" : `${parent.join(".")}.`;
  if (likely !== undefined) return `did you mean ${JSON.stringify(prefix + likely)}?`;
  const elsewhere = placesOf(root, name.replace(/\[\d+\]$/, ""));
  if (elsewhere.length > 0) return `there is ${elsewhere.slice(0, 3).join(", ")}`;
  return siblings.length === 0 || siblings.length > 15 ? undefined : `known: ${siblings.join(", ")}`;
}

/** The object at a path with list indexes; empty where there is none. */
function objectAtSteps(object: JsonObject, steps: readonly string[]): JsonObject {
  const keys = steps.flatMap((step) => step.replaceAll("]", "").split("["));
  const found = keys.reduce<Json | undefined>((current, key) => {
    if (Array.isArray(current)) return current[Number(key)];
    return isObject(current) ? current[key] : undefined;
  }, object);
  return isObject(found) ? found : {};
}

/** The schema at a path; list indexes count as their elements. */
function schemaAt(root: JsonSchema, steps: readonly string[]): JsonSchema | undefined {
  return steps.reduce<JsonSchema | undefined>((current, step) => {
    const [name = "", ...indexes] = step.split("[");
    const found = current?.properties?.[name];
    return indexes.reduce<JsonSchema | undefined>((list) => list?.items, found);
  }, root);
}

/** Depth at which fields of that name are looked for: fields of services, not of the pods in them. */
const MAX_DEPTH = 4;

function placesOf(schema: JsonSchema, name: string, path = "", depth = 0): string[] {
  if (depth > MAX_DEPTH) return [];
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    if (depth === 0 && key !== "spec") return [];
    const place = path === "" ? key : `${path}.${key}`;
    return [...(key === name ? [place] : []), ...placesOf(property, name, place, depth + 1)];
  });
}
