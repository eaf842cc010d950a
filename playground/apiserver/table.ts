import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { type Column, ageText, builtinColumns, firstAt } from "./columns.ts";
import type { PrinterColumn, ServedKind } from "./kinds.ts";
import { at, metaOf, textOf } from "./objects.ts";

/** What a row carries besides its cells (`includeObject`). */
export type RowObject = "None" | "Metadata" | "Object";

const NAME: Column = { name: "Name", type: "string", value: (object) => textOf(at(object, "metadata", "name")) };

function cellOf(column: PrinterColumn, object: JsonObject, nowMs: number): Json {
  const value = firstAt(object, column.jsonPath);
  if (column.type === "date") return value === undefined ? null : ageText(value, nowMs);
  if (value === undefined) return null;
  if (column.type === "integer" || column.type === "number" || column.type === "boolean") return value;
  return typeof value === "string" ? value : JSON.stringify(value);
}

function customColumns(kind: ServedKind): readonly Column[] {
  const columns = kind.columns.map((column) => ({
    name: column.name,
    type: column.type,
    priority: column.priority ?? 0,
    value: (object: JsonObject, nowMs: number) => cellOf(column, object, nowMs),
  }));
  return columns.some((column) => column.name.toLowerCase() === "name") ? columns : [NAME, ...columns];
}

/** Kinds of Kubernetes that nobody wrote columns for. */
const isPlain = ({ group, kind }: ServedKind): boolean =>
  group === "rbac.authorization.k8s.io" && (kind === "Role" || kind === "ClusterRole");
const PLAIN: readonly Column[] = [
  NAME,
  { name: "Created At", type: "date", value: (object) => textOf(at(object, "metadata", "creationTimestamp")) },
];

/** `metadata` alone, as `PartialObjectMetadata` (meta/v1). */
export function partialMetadata(object: JsonObject): JsonObject {
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: metaOf(object) };
}

/** The Table (meta/v1) that `kubectl get` prints: one row an object. `metadata` is that of the list. */
export function tableOf(
  kind: ServedKind,
  objects: readonly JsonObject[],
  options: {
    readonly nowMs: number;
    readonly include: RowObject;
    readonly header: boolean;
    readonly metadata?: JsonObject;
  },
): JsonObject {
  const columns = isPlain(kind) ? PLAIN : (builtinColumns(kind.group, kind.kind) ?? customColumns(kind));
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: options.metadata ?? {},
    columnDefinitions: options.header ? columns.map(definitionOf) : null,
    rows:
      isPlain(kind) && objects.length === 0
        ? null
        : objects.map((object) => ({
            cells: columns.map((column) => column.value(object, options.nowMs)),
            ...rowObject(object, options.include),
          })),
  };
}

function definitionOf(column: Column): JsonObject {
  const format = column.name === "Name" ? "name" : "";
  return { name: column.name, type: column.type ?? "string", format, description: "", priority: column.priority ?? 0 };
}

function rowObject(object: JsonObject, include: RowObject): JsonObject {
  if (include === "None") return {};
  return { object: include === "Object" ? object : partialMetadata(object) };
}
