import type { Json, JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import { OBJECT_META } from "../../crds/schema/object-meta.ts";
import { ApiError } from "./errors.ts";
import {
  type FieldSet,
  compareFields,
  decodeFields,
  differenceOf,
  emptySet,
  encodeFields,
  fieldsOf,
  intersectionOf,
  isEmptySet,
  mergeApplied,
  pathsOf,
  removeFields,
  unionOf,
} from "./field-set.ts";
import { ensureMeta, equalJson, listOf, metaOf, objectOf, textOf } from "./objects.ts";

/** Who writes, and through which part of the API. */
export interface Writer {
  readonly manager: string;
  readonly apiVersion: string;
  /** `status`, `scale`, or empty for the object itself. */
  readonly subresource: string;
  /** RFC 3339. */
  readonly time: string;
}

type Operation = "Apply" | "Update";

interface ManagerEntry {
  readonly manager: string;
  readonly operation: Operation;
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly fields: FieldSet;
}

/** Fields of the server itself, which nobody owns. */
const UNOWNED = decodeFields({
  "f:apiVersion": {},
  "f:kind": {},
  "f:metadata": {
    "f:name": {},
    "f:namespace": {},
    "f:creationTimestamp": {},
    "f:deletionTimestamp": {},
    "f:deletionGracePeriodSeconds": {},
    "f:selfLink": {},
    "f:uid": {},
    "f:generation": {},
    "f:managedFields": {},
    "f:resourceVersion": {},
  },
});

/** The schema as field ownership sees it: `metadata` follows ObjectMeta. */
function ownershipSchema(schema: JsonSchema): JsonSchema {
  return { ...schema, properties: { ...schema.properties, metadata: OBJECT_META } };
}

function entriesOf(object: JsonObject): ManagerEntry[] {
  return listOf(metaOf(object)["managedFields"])
    .map(objectOf)
    .map((entry) => ({
      manager: textOf(entry["manager"]),
      operation: entry["operation"] === "Apply" ? "Apply" : "Update",
      apiVersion: textOf(entry["apiVersion"]),
      subresource: textOf(entry["subresource"]),
      time: textOf(entry["time"]),
      fields: decodeFields(entry["fieldsV1"]),
    }));
}

function encodeEntries(entries: readonly ManagerEntry[]): Json[] {
  const owning = entries.filter((entry) => !isEmptySet(entry.fields));
  const rank = (entry: ManagerEntry) => `${entry.operation === "Apply" ? 0 : 1}${entry.time}${entry.manager}`;
  owning.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  return owning.map((entry) => ({
    manager: entry.manager,
    operation: entry.operation,
    apiVersion: entry.apiVersion,
    ...(entry.time === "" ? {} : { time: entry.time }),
    fieldsType: "FieldsV1",
    fieldsV1: encodeFields(entry.fields),
    ...(entry.subresource === "" ? {} : { subresource: entry.subresource }),
  }));
}

const isOf = (entry: ManagerEntry, writer: Writer, operation: Operation): boolean =>
  entry.manager === writer.manager && entry.operation === operation && entry.subresource === writer.subresource;

/** Puts the entry of a writer among the others; its time moves only when its fields changed. */
function withEntry(entries: readonly ManagerEntry[], writer: Writer, operation: Operation, fields: FieldSet) {
  const own = entries.find((entry) => isOf(entry, writer, operation));
  const same = own !== undefined && equalJson(encodeFields(own.fields), encodeFields(fields));
  const rest = entries.filter((entry) => entry !== own);
  return [...rest, { ...writer, operation, fields, time: same ? own.time : writer.time }];
}

/**
 * Records an ordinary write (create, update, other patches): the writer owns what it changed, and nobody owns what is gone.
 * Sets `metadata.managedFields` of `after`.
 */
export function recordUpdate(
  before: JsonObject | undefined,
  after: JsonObject,
  schema: JsonSchema,
  writer: Writer,
): void {
  const { changed, removed } = compareFields(before ?? {}, after, ownershipSchema(schema));
  const gained = differenceOf(changed, UNOWNED, true);
  const entries = entriesOf(before ?? {}).map((entry) => ({
    ...entry,
    fields: differenceOf(isOf(entry, writer, "Update") ? entry.fields : differenceOf(entry.fields, gained), removed),
  }));
  const own = entries.find((entry) => isOf(entry, writer, "Update"))?.fields ?? emptySet();
  const next = withEntry(entries, writer, "Update", unionOf(own, gained));
  const told = encodeEntries(next);
  if (told.length > 0) ensureMeta(after)["managedFields"] = told;
  else delete ensureMeta(after)["managedFields"];
}

/** Result of a server-side apply: the merged object with its managedFields. */
export function applyConfiguration(
  live: JsonObject | undefined,
  applied: JsonObject,
  schema: JsonSchema,
  writer: Writer,
  force: boolean,
): JsonObject {
  const rules = ownershipSchema(schema);
  const owned = differenceOf(fieldsOf(applied, rules), UNOWNED, true);
  const merged = mergeApplied(live, applied, rules);
  const { changed } = compareFields(live ?? {}, merged, rules);
  const entries = entriesOf(live ?? {});
  const taken = intersectionOf(changed, owned);
  const others = entries.filter((entry) => !isOf(entry, writer, "Apply"));
  if (!force) refuseConflicts(others, taken);
  const remaining = others.map((entry) => ({ ...entry, fields: differenceOf(entry.fields, taken) }));
  const before = entries.find((entry) => isOf(entry, writer, "Apply"))?.fields ?? emptySet();
  const kept = remaining.reduce((set, entry) => unionOf(set, entry.fields), owned);
  const result = objectOf(removeFields(merged, differenceOf(before, owned), kept, rules));
  const mine = entries.filter((entry) => isOf(entry, writer, "Apply"));
  // Who becomes an owner of what is there already is told without a time.
  const time = live !== undefined && equalJson(unowned(live), unowned(result)) ? (mine[0]?.time ?? "") : writer.time;
  const own = withEntry([...remaining, ...mine], { ...writer, time }, "Apply", owned);
  result["metadata"] = { ...metaOf(result), managedFields: encodeEntries(own) };
  return result;
}

/** An object without who owns what. */
function unowned(object: JsonObject): JsonObject {
  const { managedFields: _managedFields, ...metadata } = metaOf(object);
  return { ...object, metadata };
}

function refuseConflicts(others: readonly ManagerEntry[], taken: FieldSet): void {
  const byName = [...others].sort((a, b) => (a.manager < b.manager ? -1 : 1));
  const conflicts = byName.flatMap((entry) =>
    pathsOf(intersectionOf(entry.fields, taken)).map((field) => ({ entry, field })),
  );
  if (conflicts.length === 0) return;
  const texts = conflicts.map(({ entry, field }) => ({ text: conflictText(entry), field }));
  const lines = [...new Set(texts.map(({ text }) => text))].map(
    (text) =>
      `${text.replace(/^conflict /, "conflicts ")}:\n${texts.flatMap((item) => (item.text === text ? [`- ${item.field}`] : [])).join("\n")}`,
  );
  const plural = conflicts.length === 1 ? "conflict" : "conflicts";
  const head = `Apply failed with ${conflicts.length} ${plural}`;
  const message =
    conflicts.length === 1 ? `${head}: ${texts[0]!.text}: ${texts[0]!.field}` : `${head}: ${lines.join("\n")}`;
  const causes = texts.map(({ text, field }) => ({ reason: "FieldManagerConflict", message: text, field }));
  throw new ApiError(409, "Conflict", message, { causes });
}

function conflictText(entry: ManagerEntry): string {
  const how = entry.operation === "Apply" ? "" : ` using ${entry.apiVersion}`;
  return `conflict with "${entry.manager}"${entry.subresource === "" ? "" : ` with subresource "${entry.subresource}"`}${how}`;
}
