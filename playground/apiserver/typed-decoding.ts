import type { FieldError, JsonObject } from "../../crds/schema/types.ts";
import { ApiError, badRequest } from "./errors.ts";
import type { ServedKind } from "./kinds.ts";
import { nameOf } from "./objects.ts";

/** Kinds of Kubernetes itself are decoded into structures before anything looks at them: a value of the wrong type ends that. */
function decodingErrors(kind: ServedKind, object: JsonObject): FieldError[] {
  if (kind.conversion !== undefined) return [];
  return kind.structural.validate(withoutMetadata(object)).filter(isTypeError);
}

const isTypeError = ({ message }: FieldError): boolean => message.includes("in body must be of type");

/** A patch may hold nothing but metadata, whose own checks come later. */
function withoutMetadata({ metadata: _metadata, ...rest }: JsonObject): JsonObject {
  return rest;
}

/** Refuses a body that cannot be decoded. Errors: 400, naming the field. */
export function refuseUndecodable(kind: ServedKind, object: JsonObject): void {
  const [first] = decodingErrors(kind, object);
  const head = `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}`;
  if (first !== undefined) throw badRequest(`${head}: ${first.path}: ${first.message}`);
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
      .filter((error) => isTypeError(error) || error.kind === "Duplicate")
      .map(untypedText),
  ];
  if (problems.length === 0) return;
  const object = `${namespace}/${nameOf(applied)}; ${kind.group}/${kind.version}, Kind=${kind.kind}`;
  const text = problems.length === 1 ? problems[0]! : `errors:\n${problems.map((line) => `  ${line}`).join("\n")}`;
  throw new ApiError(500, "", `failed to create typed patch object (${object}): ${text}`);
}
