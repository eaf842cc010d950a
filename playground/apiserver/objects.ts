import type { Json, JsonObject } from "../../crds/schema/types.ts";

/** True for a JSON object (not null, not an array). */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as an object; an empty one for anything else. */
export function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** The value as a list; an empty one for anything else. */
export function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** The value as text; empty for anything else. */
export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** A scalar as text; empty for anything else. */
export function scalarText(value: Json | undefined): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

/** Walks down by keys and list indexes; undefined where the path ends early. */
export function at(value: Json | undefined, ...path: readonly (string | number)[]): Json | undefined {
  let current = value;
  for (const step of path) {
    if (typeof step === "number") current = Array.isArray(current) ? current[step] : undefined;
    else current = isObject(current) && Object.hasOwn(current, step) ? current[step] : undefined;
  }
  return current;
}

/** `metadata` of an object, to read; empty where it has none. */
export function metaOf(object: JsonObject): JsonObject {
  return objectOf(object["metadata"]);
}

/** `metadata` of an object, to write; created where it has none. */
export function ensureMeta(object: JsonObject): JsonObject {
  return ensureObject(object, "metadata");
}

/** The object under a key, created where there is none. */
export function ensureObject(parent: JsonObject, key: string): JsonObject {
  const known = parent[key];
  if (isObject(known)) return known;
  const fresh: JsonObject = {};
  parent[key] = fresh;
  return fresh;
}

export const nameOf = (object: JsonObject): string => textOf(metaOf(object)["name"]);
export const namespaceOf = (object: JsonObject): string => textOf(metaOf(object)["namespace"]);
export const finalizersOf = (object: JsonObject): string[] => listOf(metaOf(object)["finalizers"]).map(textOf);

/** String values of a map such as labels; other values are left out. */
export function textMap(value: Json | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(objectOf(value)).flatMap(([key, item]) => (typeof item === "string" ? [[key, item]] : [])),
  );
}

/** Whether two JSON values are equal; the order of keys does not matter. */
export function equalJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => equalJson(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key], b[key]))
  );
}

/** RFC 3339 in whole seconds, as Kubernetes writes `metav1.Time`. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** A copy that shares nothing; several times as fast as `structuredClone`, since JSON needs none of its care. */
export function cloneJson<T extends Json>(value: T): T {
  if (Array.isArray(value)) return value.map(cloneJson) as Json as T;
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (key === "__proto__")
      Object.defineProperty(copy, key, {
        value: cloneJson(item),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    else copy[key] = cloneJson(item);
  }
  return copy as Json as T;
}
