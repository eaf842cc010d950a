import type { Json, JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import type { ServedKind } from "./kinds.ts";
import { cloneJson, equalJson, isObject, metaOf, objectOf } from "./objects.ts";
import type { Target } from "./target.ts";

/** Field that its sub-resource owns; a write to the object itself cannot change it. */
export const STATUS = "status";

/** A status apply owns status alone, any other apply everything but status. */
export function appliedPart(target: Target, applied: JsonObject): JsonObject {
  const { status, ...rest } =
    target.kind.conversion === undefined ? withoutEmptyLists(applied, target.kind.schema) : applied;
  if (target.subresource === STATUS) {
    const { apiVersion, kind, metadata } = applied;
    const { name, namespace } = objectOf(metadata);
    const meta = { name: name!, ...(namespace === undefined ? {} : { namespace }) };
    return { apiVersion: apiVersion!, kind: kind!, metadata: meta, ...(status === undefined ? {} : { status }) };
  }
  return target.kind.hasStatus || status === undefined ? rest : applied;
}

const isEmpty = (value: Json | undefined): boolean => isObject(value) && Object.keys(value).length === 0;

/** The encoding of built-in kinds does not tell an empty list from none; nobody owns one, unless it is written as null. */
function withoutEmptyLists(object: JsonObject, schema: JsonSchema | undefined): JsonObject {
  const isKept = (key: string, value: Json): boolean =>
    !Array.isArray(value) || value.length > 0 || schema?.properties?.[key]?.nullable === true;
  const entries = Object.entries(object)
    .filter(([key, value]) => isKept(key, value))
    .map(([key, value]): [string, Json] => [
      key,
      isObject(value) ? withoutEmptyLists(value, schema?.properties?.[key]) : value,
    ]);
  // What held nothing but empty lists says nothing either.
  const isEmptied = (key: string, value: Json): boolean => isObject(value) && isEmpty(value) && !isEmpty(object[key]);
  return Object.fromEntries(entries.filter(([key, value]) => !isEmptied(key, value)));
}

/** The part of `next` that a write to the sub-resource may change, in the current object. A binding changes both parts. */
export function scopedTo(subresource: string, kind: ServedKind, current: JsonObject, next: JsonObject): JsonObject {
  if (subresource === STATUS) return withStatus(kind, current, next);
  return subresource === "binding" ? next : withoutStatus(kind, current, next);
}

/** Kinds whose labels and annotations a write to their status may change, too. */
const LABELLED_BY_STATUS: ReadonlySet<string> = new Set(["/pods", "/services", "/nodes", "/namespaces"]);

/** The current object with the status of `next`; field ownership may change too. */
function withStatus(kind: ServedKind, current: JsonObject, next: JsonObject): JsonObject {
  const result = LABELLED_BY_STATUS.has(kind.storage) ? labelledAs(next, cloneJson(current)) : cloneJson(current);
  if (next[STATUS] === undefined) delete result[STATUS];
  else result[STATUS] = next[STATUS];
  return result;
}

function labelledAs(from: JsonObject, object: JsonObject): JsonObject {
  const { labels, annotations } = metaOf(from);
  const { labels: _labels, annotations: _annotations, ...metadata } = metaOf(object);
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
  };
}

/** What a writer is said to own of an update: of custom objects also labels that a write to their status cannot change. */
export function ownedPart({ kind, subresource }: Target, written: JsonObject, next: JsonObject): JsonObject {
  return subresource === STATUS && kind.conversion !== undefined ? labelledAs(next, written) : written;
}

/** Whether nobody is told to own what a write changes: of custom objects that is so for what is written through scale. */
export const isUnrecorded = ({ kind, subresource }: Target): boolean =>
  subresource === "scale" && kind.conversion !== undefined;

function withoutStatus(kind: ServedKind, current: JsonObject, next: JsonObject): JsonObject {
  if (!kind.hasStatus) return next;
  const { [STATUS]: _status, ...rest } = next;
  return current[STATUS] === undefined ? rest : { ...rest, [STATUS]: cloneJson(current[STATUS]) };
}

/** Whether two objects differ in nothing but who owns what. */
export function equalExceptOwnership(a: JsonObject, b: JsonObject): boolean {
  const bare = (object: JsonObject): JsonObject => {
    const { managedFields: _managedFields, ...metadata } = metaOf(object);
    return { ...object, metadata };
  };
  return equalJson(bare(a), bare(b));
}
