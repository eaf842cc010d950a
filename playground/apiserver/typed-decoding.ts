import type { FieldError, Json, JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import { ApiError, badRequest, invalid } from "./errors.ts";
import type { ServedKind } from "./kinds.ts";
import { isObject, nameOf, objectOf } from "./objects.ts";

/** Kinds of Kubernetes itself are decoded into structures before anything looks at them: a value of the wrong type ends that. */
function decodingErrors(kind: ServedKind, object: JsonObject): FieldError[] {
  if (kind.conversion !== undefined) return [];
  return kind.structural.validate(withoutMetadata(object)).filter(isTypeError);
}

const isTypeError = ({ message }: FieldError): boolean => message.includes("in body must be of type");
/** Server-side apply takes anything where a schema says integer or string. */
const isUntypedError = (error: FieldError): boolean => isTypeError(error) && !error.message.includes("integer,string");

/** A patch may hold nothing but metadata, whose own checks come later. */
function withoutMetadata({ metadata: _metadata, ...rest }: JsonObject): JsonObject {
  return rest;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** Fields of bytes by kind. */
const BYTES: Readonly<Record<string, string>> = { "/secrets": "data", "/configmaps": "binaryData" };

/** What is wrong with bytes that are not written in base64; undefined where nothing is. */
function bytesComplaint(kind: ServedKind, object: JsonObject): string | undefined {
  const field = BYTES[kind.storage];
  if (field === undefined) return undefined;
  const bad = Object.entries(objectOf(object[field])).find(
    ([, value]) => typeof value === "string" && !BASE64.test(value),
  );
  return bad === undefined ? undefined : `${field}.${bad[0]}: illegal base64 data`;
}

/** Refuses a body that cannot be decoded. Errors: 400, naming the field. */
export function refuseUndecodable(kind: ServedKind, object: JsonObject): void {
  const [first] = decodingErrors(kind, object);
  const head = `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}`;
  if (first !== undefined) throw badRequest(`${head}: ${first.path}: ${first.message}`);
  const complaint = bytesComplaint(kind, object);
  if (complaint !== undefined) throw badRequest(`${head}: ${complaint}`);
}

function untypedText({ path, kind, value, message }: FieldError): string {
  if (kind === "Duplicate") {
    const isKeyed = typeof value === "object" && value !== null && !Array.isArray(value);
    const keys = Object.entries(isKeyed ? value : {}).map(([key, item]) => `${key}=${JSON.stringify(item)}`);
    const list = `.${path.replace(/\[\d+\]$/, "")}`;
    return isKeyed
      ? `${list}: duplicate entries for key [${keys.join(",")}]`
      : `${list}: duplicate entries for key [=${JSON.stringify(value ?? null)}]`;
  }
  const actual = /"(\w+)"$/.exec(message)?.[1] ?? "";
  return /type (integer|number|int32|int64)/.test(message)
    ? `.${path}: expected numeric (int or float), got ${actual}`
    : `.${path}: ${message}`;
}

/** Refuses what an apply makes where it cannot be decoded. Errors: 500, as the API server has it. */
export function refuseUnconvertible(kind: ServedKind, result: JsonObject): void {
  const complaint = bytesComplaint(kind, result);
  if (complaint !== undefined) throw new ApiError(500, "", `failed to convert new object to its version: ${complaint}`);
}

/** Refuses a patch that makes what cannot be decoded. Errors: 422. */
export function refuseUndecodablePatch(kind: ServedKind, patched: JsonObject): void {
  const complaint = bytesComplaint(kind, patched);
  if (complaint === undefined) return;
  const error = { path: "patch", kind: "Invalid" as const, value: JSON.stringify(patched), message: complaint };
  throw invalid({ group: kind.group, kind: "", name: nameOf(patched) }, [error]);
}

/** Elements of keyed lists that lack a key. */
function keylessElements(value: Json | undefined, schema: JsonSchema | undefined, path: string): string[] {
  if (Array.isArray(value)) {
    const keys = schema?.["x-kubernetes-list-map-keys"] ?? [];
    return value.flatMap((item, index) => {
      const missing = keys.find(
        (key) => isObject(item) && item[key] === undefined && schema?.items?.properties?.[key]?.default === undefined,
      );
      const text = `${path}: element ${index}: associative list with keys has an element that omits key field ${JSON.stringify(missing)} (and doesn't have default value)`;
      return missing === undefined ? keylessElements(item, schema?.items, `${path}[${index}]`) : [text];
    });
  }
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    keylessElements(item, schema?.properties?.[key], `${path}.${key}`),
  );
}

/** Refuses an applied configuration that the kind's schema has no place for. Errors: 500, as the API server has it. */
export function refuseUntyped(
  kind: ServedKind,
  applied: JsonObject,
  unknown: readonly string[],
  namespace: string,
): void {
  const problems = [
    ...unknown.map((path) => `.${path}: field not declared in schema`),
    ...kind.structural
      .validate(applied)
      .filter((error) => isUntypedError(error) || error.kind === "Duplicate")
      .map(untypedText),
    ...keylessElements(applied, kind.schema, ""),
  ];
  if (problems.length === 0) return;
  const object = `${namespace}/${nameOf(applied)}; ${kind.group}/${kind.version}, Kind=${kind.kind}`;
  const text = problems.length === 1 ? problems[0]! : `errors:\n${problems.map((line) => `  ${line}`).join("\n")}`;
  throw new ApiError(500, "", `failed to create typed patch object (${object}): ${text}`);
}
