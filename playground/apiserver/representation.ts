import type { JsonObject } from "../../crds/schema/types.ts";
import { ApiError } from "./errors.ts";
import type { ServedKind } from "./kinds.ts";
import type { Page } from "./collections.ts";
import { listObject } from "./collections.ts";
import { metaOf, textOf } from "./objects.ts";
import type { Target } from "./target.ts";
import { type RowObject, partialMetadata, tableOf } from "./table.ts";

/** How the client wants objects: whole, `metadata` alone, or as rows of a table. */
export interface Representation {
  readonly shape: "Object" | "PartialObjectMetadata" | "Table";
  /** Of the meta.k8s.io group. */
  readonly version: string;
  readonly format: "json" | "yaml";
}

/** A media range of an Accept header, with its parameters. */
interface Accepted {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Reads an Accept header in order of preference; q-values are ignored, as the API server ignores them. */
export function acceptedTypes(header: string | undefined): Accepted[] {
  return (header ?? "*/*").split(",").map((part) => {
    const [type = "", ...rest] = part.split(";").map((piece) => piece.trim());
    const parameters = Object.fromEntries(rest.map((piece) => [piece.split("=")[0] ?? "", piece.split("=")[1] ?? ""]));
    return { type: type.toLowerCase(), parameters };
  });
}

const FORMATS: Readonly<Record<string, "json" | "yaml">> = {
  "application/json": "json",
  "application/*": "json",
  "*/*": "json",
  "application/yaml": "yaml",
};

/** The first representation that is served. Errors: 406. */
export function negotiate(header: string | undefined): Representation {
  for (const { type, parameters } of acceptedTypes(header)) {
    const format = FORMATS[type];
    const shape = (parameters["as"] ?? "Object").replace(/List$/, "");
    if (format === undefined) continue;
    if (shape === "Object" || shape === "Table" || shape === "PartialObjectMetadata")
      return { shape, version: parameters["v"] ?? "v1", format };
  }
  const served = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
  throw new ApiError(406, "NotAcceptable", `406: Not Acceptable\n\nAvailable representations: ${served}`, {});
}

function includeOf(query: URLSearchParams): RowObject {
  const include = query.get("includeObject");
  return include === "None" || include === "Object" ? include : "Metadata";
}

const withVersion = (object: JsonObject, representation: Representation): JsonObject => ({
  ...object,
  apiVersion: `meta.k8s.io/${representation.version}`,
});

/** One object as the client wants it; `header` false leaves the columns of a table out. */
export function represent(
  object: JsonObject,
  kind: ServedKind,
  representation: Representation,
  query: URLSearchParams,
  nowMs: number,
  header = true,
): JsonObject {
  if (representation.shape === "Object") return object;
  if (representation.shape === "PartialObjectMetadata") return withVersion(partialMetadata(object), representation);
  const metadata = {
    resourceVersion: textOf(metaOf(object)["resourceVersion"]),
  };
  return withVersion(tableOf(kind, [object], { nowMs, include: includeOf(query), header, metadata }), representation);
}

/** A page of a list as the client wants it. */
export function representPage(
  page: Page,
  target: Target,
  representation: Representation,
  query: URLSearchParams,
  nowMs: number,
): JsonObject {
  if (representation.shape === "Object") return listObject(target, page);
  if (representation.shape === "Table") {
    const options = { nowMs, include: includeOf(query), header: true, metadata: page.metadata };
    return withVersion(tableOf(target.kind, page.items, options), representation);
  }
  const items = page.items.map((item) => withVersion(partialMetadata(item), representation));
  const listed = items.length === 0 ? null : items;
  return withVersion({ kind: "PartialObjectMetadataList", metadata: page.metadata, items: listed }, representation);
}
