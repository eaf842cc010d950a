import type { Json, JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import { equalJson, isObject, listOf, textOf } from "./objects.ts";

/**
 * A set of field paths as `metadata.managedFields[].fieldsV1` holds it: steps are `f:name` (field), `k:{"key":value}`
 * (element of a list map) and `v:value` (element of a set); `.` marks that the path up to here is a member itself.
 */
export interface FieldSet {
  self: boolean;
  readonly children: Map<string, FieldSet>;
}

export const emptySet = (self = false): FieldSet => ({ self, children: new Map() });

export function isEmptySet(set: FieldSet): boolean {
  return !set.self && set.children.size === 0;
}

/** Reads the FieldsV1 form. */
export function decodeFields(fields: Json | undefined): FieldSet {
  const set = emptySet();
  if (!isObject(fields)) return set;
  for (const [step, child] of Object.entries(fields)) {
    if (step === ".") set.self = true;
    else
      set.children.set(step, isObject(child) && Object.keys(child).length > 0 ? decodeFields(child) : emptySet(true));
  }
  return set;
}

/** Writes the FieldsV1 form. */
export function encodeFields(set: FieldSet): JsonObject {
  const fields: JsonObject = set.self && set.children.size > 0 ? { ".": {} } : {};
  for (const step of [...set.children.keys()].sort()) fields[step] = encodeFields(set.children.get(step)!);
  return fields;
}

/** Members of `a` or `b`. */
export function unionOf(a: FieldSet, b: FieldSet): FieldSet {
  const result: FieldSet = { self: a.self || b.self, children: new Map(a.children) };
  for (const [step, child] of b.children) {
    const known = result.children.get(step);
    result.children.set(step, known === undefined ? child : unionOf(known, child));
  }
  return result;
}

/** Members of `a` that are not in `b`; with `below`, members under a member of `b` go too. */
export function differenceOf(a: FieldSet, b: FieldSet, below = false): FieldSet {
  if (below && b.self) return emptySet();
  const result = emptySet(a.self && !b.self);
  for (const [step, child] of a.children) {
    const other = b.children.get(step);
    const rest = other === undefined ? child : differenceOf(child, other, below);
    if (!isEmptySet(rest)) result.children.set(step, rest);
  }
  return result;
}

/** Members of both. */
export function intersectionOf(a: FieldSet, b: FieldSet): FieldSet {
  const result = emptySet(a.self && b.self);
  for (const [step, child] of a.children) {
    const other = b.children.get(step);
    if (other === undefined) continue;
    const common = intersectionOf(child, other);
    if (!isEmptySet(common)) result.children.set(step, common);
  }
  return result;
}

/** Members below the root as readable paths, those of one level before what is below them: `.spec.containers[name="main"].image`. */
export function pathsOf(set: FieldSet, prefix = ""): string[] {
  const children = [...set.children].map(([step, child]) => ({ path: prefix + stepText(step), child }));
  const members = children.filter(({ child }) => child.self).map(({ path }) => path);
  return [...members.sort(), ...children.flatMap(({ path, child }) => pathsOf(child, path))];
}

function stepText(step: string): string {
  if (step.startsWith("f:")) return `.${step.slice(2)}`;
  if (step.startsWith("v:")) return `[=${step.slice(2)}]`;
  const keys = JSON.parse(step.slice(2)) as JsonObject;
  return `[${Object.entries(keys)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(",")}]`;
}

/** How server-side apply looks at a position: what is below it is owned piece by piece, or as a whole. */
type Shape = "map" | "struct" | "listMap" | "set" | "leaf";

function shapeOf(value: Json | undefined, schema: JsonSchema | undefined): Shape {
  if (isObject(value)) {
    if (schema?.["x-kubernetes-map-type"] === "atomic") return "leaf";
    return schema?.properties === undefined ? "map" : "struct";
  }
  if (!Array.isArray(value)) return "leaf";
  const type = schema?.["x-kubernetes-list-type"];
  if (type === "map" && value.every(isObject)) return "listMap";
  return type === "set" ? "set" : "leaf";
}

/** Schema of a field; undefined where the schema says nothing. */
function fieldSchema(schema: JsonSchema | undefined, key: string): JsonSchema | undefined {
  const properties = schema?.properties;
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key];
  return typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
}

function keyDefault(schema: JsonSchema | undefined, key: string): Json | undefined {
  return schema?.items?.properties?.[key]?.default;
}

/** The step of a list-map element: its keys, with the schema's defaults for absent ones. */
function elementStep(item: Json, schema: JsonSchema | undefined): string {
  const keys: JsonObject = {};
  for (const key of [...(schema?.["x-kubernetes-list-map-keys"] ?? [])].sort()) {
    const value = (isObject(item) ? item[key] : undefined) ?? keyDefault(schema, key);
    if (value !== undefined) keys[key] = value;
  }
  return `k:${JSON.stringify(keys)}`;
}

interface Part {
  readonly step: string;
  readonly value: Json;
  readonly schema: JsonSchema | undefined;
  /** Whether the path to the part is a member whatever is below. */
  readonly member: boolean;
}

/** The pieces that a value is owned by; undefined for a leaf. */
function partsOf(value: Json | undefined, schema: JsonSchema | undefined): Part[] | undefined {
  const shape = shapeOf(value, schema);
  if (shape === "leaf") return undefined;
  if (isObject(value)) {
    return Object.entries(value).map(([key, item]) => ({
      step: `f:${key}`,
      value: item,
      schema: fieldSchema(schema, key),
      member: shape === "map",
    }));
  }
  const step = (item: Json) => (shape === "set" ? `v:${JSON.stringify(item)}` : elementStep(item, schema));
  return listOf(value).map((item) => ({ step: step(item), value: item, schema: schema?.items, member: true }));
}

/** All paths of a value, as an apply of it owns them. */
export function fieldsOf(value: Json | undefined, schema: JsonSchema | undefined): FieldSet {
  const parts = partsOf(value, schema);
  if (parts === undefined) return emptySet(value !== undefined);
  const set = emptySet(parts.length === 0);
  for (const part of parts) {
    const child = fieldsOf(part.value, part.schema);
    if (part.member) child.self = true;
    set.children.set(part.step, child);
  }
  return set;
}

/** All paths of a value that comes or goes as a whole: every map and list on the way does, too. */
function addedFields(value: Json | undefined, schema: JsonSchema | undefined): FieldSet {
  const parts = partsOf(value, schema);
  const set = emptySet(value !== undefined);
  for (const part of parts ?? []) set.children.set(part.step, addedFields(part.value, part.schema));
  return set;
}

/** What a write changed. */
export interface Comparison {
  /** Paths that are new or have a new value. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

/** Compares two values of one schema. */
export function compareFields(
  before: Json | undefined,
  after: Json | undefined,
  schema: JsonSchema | undefined,
): Comparison {
  if (before === undefined) return { changed: addedFields(after, schema), removed: emptySet() };
  if (after === undefined) return { changed: emptySet(), removed: addedFields(before, schema) };
  const [old, now] = [partsOf(before, schema), partsOf(after, schema)];
  if (old === undefined || now === undefined)
    return { changed: equalJson(before, after) ? emptySet() : fieldsOf(after, schema), removed: emptySet() };
  const [changed, removed] = [emptySet(), emptySet()];
  const previous = new Map(old.map((part) => [part.step, part]));
  const add = (set: FieldSet, step: string, child: FieldSet) => {
    if (!isEmptySet(child)) set.children.set(step, child);
  };
  for (const part of now) {
    const counterpart = previous.get(part.step);
    const result = compareFields(counterpart?.value, part.value, part.schema);
    add(changed, part.step, result.changed);
    add(removed, part.step, result.removed);
    previous.delete(part.step);
  }
  for (const part of previous.values()) {
    add(removed, part.step, addedFields(part.value, part.schema));
  }
  return { changed, removed };
}

/** Merges an applied configuration into the live value: lists by their keys, everything else by name. */
export function mergeApplied(live: Json | undefined, applied: Json, schema: JsonSchema | undefined): Json {
  const shape = shapeOf(applied, schema);
  if (live === undefined || shape === "leaf") return applied;
  if (isObject(applied)) {
    if (!isObject(live)) return applied;
    const result: JsonObject = { ...live };
    for (const [key, value] of Object.entries(applied))
      result[key] = mergeApplied(live[key], value, fieldSchema(schema, key));
    return result;
  }
  return Array.isArray(live) ? mergeList(live, applied, schema, shape) : applied;
}

/**
 * Elements of the applied list in its order. Those that only the live list has keep their places: they stand where a walk
 * along it meets them between elements of both.
 */
function mergeList(live: Json[], applied: Json, schema: JsonSchema | undefined, shape: Shape): Json[] {
  const step = (item: Json) => (shape === "set" ? JSON.stringify(item) : elementStep(item, schema));
  const present = new Map(live.map((item) => [step(item), item]));
  const wanted = new Map(listOf(applied).map((item) => [step(item), item]));
  const order = [...wanted.keys()];
  const shared = order.filter((key) => present.has(key));
  const merged: Json[] = [];
  let next = 0;
  const takeUntil = (end: number): void => {
    for (; next < end; next++) {
      const key = order[next]!;
      merged.push(mergeApplied(present.get(key), wanted.get(key)!, schema?.items));
    }
  };
  for (const item of live) {
    const key = step(item);
    if (!wanted.has(key)) merged.push(item);
    else if (key === shared[0]) takeUntil(order.indexOf(shared.shift()!) + 1);
  }
  takeUntil(order.length);
  return merged;
}

/**
 * Takes the paths of `gone` out of a value, except those that `kept` holds, at or below. What is empty then goes, too, unless
 * it is kept.
 */
export function removeFields(
  value: Json | undefined,
  gone: FieldSet,
  kept: FieldSet,
  schema: JsonSchema | undefined,
): Json | undefined {
  if (gone.self && isEmptySet(kept)) return undefined;
  const parts = partsOf(value, schema);
  if (parts === undefined || gone.children.size === 0) return value;
  const rest = parts.flatMap((part) => {
    const below = gone.children.get(part.step);
    if (below === undefined) return [part];
    const next = removeFields(part.value, below, kept.children.get(part.step) ?? emptySet(), part.schema);
    return next === undefined ? [] : [{ ...part, value: next }];
  });
  if (rest.length === 0 && isEmptySet(kept)) return undefined;
  if (!isObject(value)) return rest.map((part) => part.value);
  return Object.fromEntries(rest.map((part) => [textOf(part.step).slice(2), part.value]));
}
