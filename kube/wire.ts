import type { Resource } from "./resources.ts";
import {
  KubeError,
  type KubeList,
  type KubeObject,
  type ObjectMeta,
  type StatusCause,
  type StatusDetails,
  type WatchEvent,
} from "./types.ts";

/** A JSON object. */
type JsonRecord = Readonly<Record<string, unknown>>;

/** Whether a value is a JSON object (no array, no null). */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
const integer = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);

function broken(message: string, cause?: unknown): KubeError {
  return new KubeError({ code: 0, reason: "BrokenStream", message, cause });
}

/** Parses JSON that a server sent. Errors: `KubeError` of reason `BrokenStream`. */
export function parseJson(source: string, what: string): unknown {
  try {
    return JSON.parse(source);
  } catch (error) {
    throw broken(`${what} is not JSON`, error);
  }
}

/** The metadata part alone, with the kind's own names, as the server may answer with more or with other names. */
function objectFrom(value: JsonRecord, resource: Resource, metadataOnly: boolean): KubeObject {
  const metadata = isRecord(value["metadata"]) ? value["metadata"] : {};
  const gvk = { apiVersion: resource.apiVersion, kind: resource.kind };
  // The name is checked below by those to whom it matters; reviews come back without one.
  const meta: ObjectMeta = { ...metadata, name: text(metadata["name"]) ?? "" };
  return metadataOnly ? { ...gvk, metadata: meta } : { ...gvk, ...value, ...gvk, metadata: meta };
}

/**
 * An object of a known kind from an answer; `apiVersion` and `kind`, which list items leave out, are filled in.
 * Errors: `KubeError` of reason `BrokenStream` when it is no object.
 */
export function decodeObject(value: unknown, resource: Resource): KubeObject {
  if (!isRecord(value)) throw broken(`${resource.kind} expected, got ${typeof value}`);
  return objectFrom(value, resource, false);
}

function decodeItem(value: unknown, resource: Resource, metadataOnly: boolean): KubeObject {
  if (!isRecord(value)) throw broken(`${resource.kind} expected, got ${typeof value}`);
  const object = objectFrom(value, resource, metadataOnly);
  if (object.metadata.name === "") throw broken(`${resource.kind} without metadata.name`);
  return object;
}

/** One page of a list. Errors: `KubeError` of reason `BrokenStream`. */
export function decodeList(value: unknown, resource: Resource, metadataOnly: boolean): KubeList {
  if (!isRecord(value) || !isRecord(value["metadata"])) throw broken(`list of ${resource.plural} expected`);
  const items = Array.isArray(value["items"]) ? value["items"] : [];
  const continueToken = text(value["metadata"]["continue"]) ?? "";
  return {
    items: items.map((item) => decodeItem(item, resource, metadataOnly)),
    resourceVersion: text(value["metadata"]["resourceVersion"]) ?? "",
    ...(continueToken === "" ? {} : { continueToken }),
  };
}

/** One line of a watch. Errors: the server's for an ERROR line; `KubeError` of reason `BrokenStream` for a damaged one. */
export function decodeWatchLine(line: string, resource: Resource, metadataOnly: boolean): WatchEvent {
  const event = parseJson(line, "watch line");
  if (!isRecord(event) || !isRecord(event["object"])) throw broken("watch line has no object");
  const { type, object } = event;
  if (type === "ERROR") throw decodeStatus(object, 500, `watch ${resource.plural}`);
  if (type === "BOOKMARK") return { type, resourceVersion: versionOf(objectFrom(object, resource, true)) };
  if (type !== "ADDED" && type !== "MODIFIED" && type !== "DELETED")
    throw broken(`watch line of unknown type ${JSON.stringify(type)}`);
  const decoded = decodeItem(object, resource, metadataOnly);
  versionOf(decoded);
  return { type, object: decoded };
}

function versionOf(object: KubeObject): string {
  const version = object.metadata.resourceVersion;
  if (typeof version !== "string" || version === "") throw broken("watch line without a resourceVersion");
  return version;
}

/** Reasons of answers that carry no Status object, by HTTP status. */
const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** Characters of a body that is no Status, quoted in the error. */
const QUOTED_CHARACTERS = 200;

/**
 * The error that a Status object (or any other body) of a failed request stands for. `httpStatus` counts where the body
 * has no `code`; `action` (`get Pod default/a`) starts the message.
 */
export function decodeStatus(body: unknown, httpStatus: number, action: string): KubeError {
  const status = isRecord(body) ? body : {};
  const code = integer(status["code"]) ?? httpStatus;
  const message = text(status["message"]) ?? (typeof body === "string" ? body.slice(0, QUOTED_CHARACTERS).trim() : "");
  return new KubeError({
    code,
    reason: text(status["reason"]) ?? REASONS[code] ?? "Unknown",
    message: `${action}: ${message === "" ? `HTTP status ${code}` : message}`,
    details: decodeDetails(status["details"]),
  });
}

function decodeDetails(value: unknown): StatusDetails {
  if (!isRecord(value)) return {};
  const causes = Array.isArray(value["causes"]) ? value["causes"].filter(isRecord).map(decodeCause) : undefined;
  return defined({
    name: text(value["name"]),
    group: text(value["group"]),
    kind: text(value["kind"]),
    retryAfterSeconds: integer(value["retryAfterSeconds"]),
    causes,
  });
}

function decodeCause(value: JsonRecord): StatusCause {
  return defined({ reason: text(value["reason"]), message: text(value["message"]), field: text(value["field"]) });
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends Record<string, unknown>>(parts: T): Defined<T> {
  const kept = Object.entries(parts).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as Defined<T>;
}
