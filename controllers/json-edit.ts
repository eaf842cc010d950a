import type { Json, JsonObject } from "../crds/schema/types.ts";
import { isObject } from "../crds/json.ts";
import type { StringMap } from "./labels.ts";

/** The entries of a list that are objects; anything else counts as empty. */
export function objectsOf(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** The strings of a list; anything else counts as empty. */
export function stringsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

/** The string values of an object; anything else counts as empty. */
export function stringMapOf(value: Json | undefined): StringMap {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/** The integer, or undefined for any other value. */
export function integerOf(value: Json | undefined): number | undefined {
  return Number.isSafeInteger(value) ? Number(value) : undefined;
}

/** The object without entries that are undefined. */
export function compact(entries: Readonly<Record<string, Json | undefined>>): JsonObject {
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(entries)) if (value !== undefined) result[key] = value;
  return result;
}

/** The entry of a list of objects with that name. */
export function named(list: Json | undefined, name: string): JsonObject | undefined {
  return objectsOf(list).find((item) => item["name"] === name);
}

/** The list with its entry of that name changed; the list itself where there is none. */
export function editNamed(list: Json | undefined, name: string, edit: (item: JsonObject) => JsonObject): JsonObject[] {
  return objectsOf(list).map((item) => (item["name"] === name ? edit(item) : item));
}

/** The list with `item` at its end, unless an entry has its name already. */
export function appendNamed(list: Json | undefined, item: JsonObject): JsonObject[] {
  const items = [...objectsOf(list)];
  return items.some((existing) => existing["name"] === item["name"]) ? items : [...items, item];
}

/** The list with an entry of `item`'s name replaced in place, or `item` at its end. */
export function putNamed(list: Json | undefined, item: JsonObject): JsonObject[] {
  const items = objectsOf(list);
  return items.some((existing) => existing["name"] === item["name"])
    ? items.map((existing) => (existing["name"] === item["name"] ? item : existing))
    : [...items, item];
}

/** The list without its entries of that name. */
export function withoutNamed(list: Json | undefined, name: string): JsonObject[] {
  return objectsOf(list).filter((item) => item["name"] !== name);
}
