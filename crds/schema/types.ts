/** A plain JSON value, as decoded from a manifest or the API. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** A plain JSON object. */
export type JsonObject = { [key: string]: Json };

/** One `x-kubernetes-validations` entry: a CEL rule over the value (`self`) and, on update, its predecessor (`oldSelf`). */
export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

/**
 * An OpenAPI v3 structural schema as a CustomResourceDefinition carries it, with the two extensions of Kubernetes' own
 * OpenAPI (`x-kubernetes-patch-merge-key`, `x-kubernetes-patch-strategy`) that steer strategic merge patches.
 * Sub-schemas may be shared by reference; nothing may change a schema once it is in use.
 */
export interface JsonSchema {
  readonly type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  readonly description?: string;
  readonly title?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly required?: readonly string[];
  readonly enum?: readonly Json[];
  readonly default?: Json;
  readonly example?: Json;
  readonly nullable?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly not?: JsonSchema;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-map-type"?: "atomic" | "granular";
  readonly "x-kubernetes-validations"?: readonly ValidationRule[];
  readonly "x-kubernetes-patch-merge-key"?: string;
  readonly "x-kubernetes-patch-strategy"?: string;
}

/** What is wrong with a field; the names are those of Kubernetes' field errors. */
export type FieldErrorKind =
  | "Required"
  | "Invalid"
  | "TypeInvalid"
  | "NotSupported"
  | "Forbidden"
  | "Duplicate"
  | "NotFound"
  | "TooLong"
  | "TooMany";

/** One thing that is wrong with an object. */
export interface FieldError {
  /** Where: `spec.template.containers[0].name`. Empty for the whole object. */
  readonly path: string;
  readonly kind: FieldErrorKind;
  /** The offending value, for the kinds that print one. Absent and `undefined` both mean "not printed". */
  readonly value?: Json | undefined;
  /** Detail after the label, may be empty. */
  readonly message: string;
}

const LABELS: Readonly<Record<FieldErrorKind, string>> = {
  Required: "Required value",
  Invalid: "Invalid value",
  TypeInvalid: "Invalid value",
  NotSupported: "Unsupported value",
  Forbidden: "Forbidden",
  Duplicate: "Duplicate value",
  NotFound: "Not found",
  TooLong: "Too long",
  TooMany: "Too many",
};

const REASONS: Readonly<Record<FieldErrorKind, string>> = {
  Required: "FieldValueRequired",
  Invalid: "FieldValueInvalid",
  TypeInvalid: "FieldValueTypeInvalid",
  NotSupported: "FieldValueNotSupported",
  Forbidden: "FieldValueForbidden",
  Duplicate: "FieldValueDuplicate",
  NotFound: "FieldValueNotFound",
  TooLong: "FieldValueTooLong",
  TooMany: "FieldValueTooMany",
};

/** The longest rendering of an offending value in an error text, in characters. */
const MAX_VALUE_TEXT = 1024;

function valueText(value: Json): string {
  const text = JSON.stringify(value);
  return text.length <= MAX_VALUE_TEXT ? text : `${text.slice(0, MAX_VALUE_TEXT)}…`;
}

/** Kubernetes' wording without the path: `Invalid value: "x": must be …`. This is the text of a status cause. */
export function fieldErrorBody(error: FieldError): string {
  const printsValue = error.kind !== "Required" && error.kind !== "Forbidden" && error.kind !== "TooLong";
  const value = printsValue && error.value !== undefined ? `: ${valueText(error.value)}` : "";
  const message = error.message === "" ? "" : `: ${error.message}`;
  return `${LABELS[error.kind]}${value}${message}`;
}

/** Kubernetes' wording: `spec.replicas: Invalid value: -1: …`. */
export function formatFieldError(error: FieldError): string {
  return `${error.path === "" ? "<nil>" : error.path}: ${fieldErrorBody(error)}`;
}

/** The `reason` of a `status.details.causes[]` entry for this error. */
export function fieldErrorReason(error: FieldError): string {
  return REASONS[error.kind];
}

/** Joins the texts as Kubernetes does: a single error plain, several as `[a, b]`. */
export function formatFieldErrors(errors: readonly FieldError[]): string {
  const texts = errors.map(formatFieldError);
  return texts.length === 1 ? (texts[0] ?? "") : `[${texts.join(", ")}]`;
}
