import type { Json, JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import { SPEC_SCHEMAS } from "../../crds/service-fields.ts";
import { Pointer, Struct, TextMap, formatValue } from "../../templates/engine/values.ts";
import type { Value } from "../../templates/engine/values.ts";
import type { GlobalConfig } from "./global-config.ts";
import { isObject } from "../../crds/json.ts";
import type { ComposableService } from "./types.ts";

/** What templates see of the operator (`.GlobalConfig`). */
export interface TemplateGlobals {
  readonly systemNamespace: string;
  readonly global: GlobalConfig;
  /** `<namespace>/<pool>` of the service. */
  readonly inferencePool: string;
}

/** Schema of what `.Spec` is: it tells maps and lists from structs, and mistyped names from fields that are not set. */
const SPEC = SPEC_SCHEMAS.v1alpha2;
/** Adapters are models themselves, which their schema does not say. */
const ADAPTERS: JsonSchema = { type: "array", items: SPEC.properties?.["model"] ?? {} };

/** Numbers and booleans that templates test and that are no pointers in KServe's Go types. */
const PLAIN_FIELDS: ReadonlySet<string> = new Set(["expert"]);

/** Texts that are no pointers there: not set, they print as nothing. */
const PLAIN_TEXTS: ReadonlySet<string> = new Set([
  "uri",
  "value",
  "image",
  "workingDir",
  "imagePullPolicy",
  "terminationMessagePath",
  "terminationMessagePolicy",
  "serviceAccountName",
  "serviceAccount",
  "nodeName",
  "hostname",
  "subdomain",
  "schedulerName",
  "priorityClassName",
  "dnsPolicy",
  "restartPolicy",
  "subPath",
  "subPathExpr",
]);

/** Objects that are no pointers there: not set, they are there without fields. */
const PLAIN_STRUCTS: ReadonlySet<string> = new Set(["model", "resources"]);

function textMap(map: Readonly<Record<string, Json>>): TextMap {
  return new TextMap(
    Object.entries(map).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );
}

function scalar(value: string | number | boolean): Value {
  if (typeof value !== "number") return value;
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}

const propertySchema = (key: string, schema: JsonSchema | undefined): JsonSchema | undefined =>
  key === "adapters" ? ADAPTERS : schema?.properties?.[key];

function goValue(key: string, value: Json, schema: JsonSchema | undefined): Value {
  if (value === null) return new Pointer(key, undefined);
  if (Array.isArray(value)) return value.map((item) => goValue(key, item, schema?.items));
  if (isObject(value))
    return schema?.additionalProperties === undefined ? goStruct(key, value, schema) : textMap(value);
  if (typeof value === "string" || PLAIN_FIELDS.has(key)) return scalar(value);
  return new Pointer(typeof value === "number" ? "int32" : "bool", scalar(value));
}

/** The zero value of Go's type for a field that is not set. */
function notSet(name: string, key: string, schema: JsonSchema | undefined): Value {
  if (PLAIN_FIELDS.has(key)) return false;
  if (PLAIN_TEXTS.has(key)) return "";
  if (PLAIN_STRUCTS.has(key)) return goStruct(key, {}, schema);
  if (schema?.additionalProperties !== undefined) return textMap({});
  return schema?.type === "array" ? [] : new Pointer(name, undefined);
}

const keysOf = new WeakMap<JsonSchema, ReadonlyMap<string, string>>();

/** Names of a schema's properties by their small letters; undefined where any name may be one. */
function knownKeys(schema: JsonSchema | undefined): ReadonlyMap<string, string> | undefined {
  if (schema?.properties === undefined) return undefined;
  const known = keysOf.get(schema) ?? new Map(Object.keys(schema.properties).map((key) => [key.toLowerCase(), key]));
  keysOf.set(schema, known);
  return known;
}

const goName = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** Characters of a printed struct. */
const MAX_STRUCT_TEXT = 1000;

/** Go prints structs field by field; nobody builds on that text, of which only the beginning is made. */
function structText(value: JsonObject, schema: JsonSchema | undefined): string {
  const parts: string[] = [];
  let length = 0;
  for (const [key, item] of Object.entries(value)) {
    const part = formatValue(goValue(key, item, propertySchema(key, schema))).slice(0, MAX_STRUCT_TEXT);
    length += part.length;
    parts.push(part);
    if (length > MAX_STRUCT_TEXT) return `{${parts.join(" ")} …`;
  }
  return `{${parts.join(" ")}}`;
}

/**
 * A JSON object as a Go struct, by the name of the field that holds it. Go's names of Kubernetes fields differ from the JSON
 * names only in capitals (`LoRA`, `lora`), so that they are compared without. A field that is not set has Go's zero value.
 */
function goStruct(holder: string, value: JsonObject, schema: JsonSchema | undefined): Struct {
  const fields = new Map(Object.keys(value).map((key) => [key.toLowerCase(), key]));
  const known = knownKeys(schema);
  const field = (name: string): Value | undefined => {
    const wanted = name.toLowerCase();
    const key = known === undefined ? (fields.get(wanted) ?? name) : known.get(wanted);
    if (!/^\p{Lu}/u.test(name) || key === undefined) return undefined;
    const property = propertySchema(key, schema);
    const item = Object.hasOwn(value, key) ? value[key] : undefined;
    return item === undefined ? notSet(name, key, property) : goValue(key, item, property);
  };
  return new Struct(goName(holder), field, () => structText(value, schema));
}

function struct(typeName: string, fields: Readonly<Record<string, Value>>): Struct {
  return new Struct(typeName, (name) => (Object.hasOwn(fields, name) ? fields[name] : undefined));
}

function globalConfig({ systemNamespace, global, inferencePool }: TemplateGlobals): Struct {
  return struct("GlobalConfig", {
    SystemNamespace: systemNamespace,
    IngressGatewayName: global.ingress.gatewayName,
    IngressGatewayNamespace: global.ingress.gatewayNamespace,
    EnableTLS: global.ingress.enableTls,
    ModelBasedRoutingHeaderName: global.ingress.modelRoutingHeader,
    InferencePoolNamespacedName: inferencePool,
  });
}

/**
 * What `.` is in a template: the service with Go's field names, its spec the merged one, and `.GlobalConfig`. The fields of
 * the metadata are reachable as `.ObjectMeta.Name` and as `.Name` (KServe v0.20).
 */
export function templateData(
  metadata: ComposableService["metadata"],
  spec: JsonObject,
  globals: TemplateGlobals,
): Value {
  const fields = {
    Name: metadata.name,
    Namespace: metadata.namespace,
    UID: metadata.uid ?? "",
    Labels: textMap(metadata.labels ?? {}),
    Annotations: textMap(metadata.annotations ?? {}),
  };
  return struct("LLMInferenceService", {
    ...fields,
    ObjectMeta: struct("ObjectMeta", fields),
    Spec: goStruct("spec", spec, SPEC),
    Status: goStruct("status", {}, undefined),
    GlobalConfig: globalConfig(globals),
  });
}
