import { StrategicMergeError, strategicMerge } from "../../crds/schema/strategic-merge.ts";
import type { Json, JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import { isObject } from "../../crds/json.ts";
import { CONTAINER_MERGE_SCHEMA, SPEC_MERGE_SCHEMA } from "./merge-schema.ts";

/** One layer of a spec: a preset, a base ref or the service itself. */
export interface Layer {
  /** How errors name it. */
  readonly label: string;
  readonly spec: JsonObject;
}

/** A layer that cannot be merged; the message names it, `path` the field (`spec.template.containers[0]`). */
export class LayerError extends Error {
  readonly path: string;

  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

/** Numbers and booleans that are no pointers in Kubernetes' Go types: there zero and false mean "not given". */
const ZERO_IS_ABSENT: ReadonlySet<string> = new Set([
  "expert",
  "hostNetwork",
  "hostPID",
  "hostIPC",
  "stdin",
  "stdinOnce",
  "tty",
  "readOnly",
  "hostPort",
  "initialDelaySeconds",
  "timeoutSeconds",
  "periodSeconds",
  "successThreshold",
  "failureThreshold",
]);

/** Objects in which such numbers and booleans are always written, or are pointers. */
const ZERO_COUNTS_IN: ReadonlySet<string> = new Set(["fallback", "csi", "azureDisk"]);

/** Texts that are pointers in Kubernetes' Go types: there the empty text means something. */
const EMPTY_TEXT_COUNTS: ReadonlySet<string> = new Set(["runtimeClassName", "storageClassName"]);

function isAbsent(holder: string, key: string, value: Json): boolean {
  if (value === "") return !EMPTY_TEXT_COUNTS.has(key);
  if (value === 0 || value === false) return ZERO_IS_ABSENT.has(key) && !ZERO_COUNTS_IN.has(holder);
  return Array.isArray(value) && value.length === 0;
}

/** Objects of which one member excludes the others, beside the fields that every member may have. */
const UNION_LISTS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  ["volumes", "env", "resourceClaims"].map((list) => [list, new Set(["name"])] as const),
);
const UNION_FIELDS: ReadonlySet<string> = new Set(["valueFrom"]);
const HANDLERS: readonly string[] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
const HANDLED: ReadonlySet<string> = new Set([
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "preStop",
  "postStart",
]);

/** Makes the member that the patch chooses the only one left: it merges with its like and replaces the others. */
function chooseMember(field: string, patch: JsonObject): JsonObject {
  const keys = Object.keys(patch);
  if (HANDLED.has(field) && HANDLERS.some((handler) => keys.includes(handler)))
    return { ...Object.fromEntries(HANDLERS.map((handler) => [handler, null])), ...patch };
  const common = UNION_LISTS.get(field);
  const chooses = common === undefined ? UNION_FIELDS.has(field) : keys.some((key) => !common.has(key));
  return chooses && !keys.some((key) => key.startsWith("$")) ? { ...patch, $retainKeys: keys } : patch;
}

function listPatch(field: string, list: readonly Json[], schema: JsonSchema | undefined): Json[] {
  if (schema?.["x-kubernetes-patch-merge-key"] === undefined) return [...list];
  return list.map((item) => (isObject(item) ? chooseMember(field, objectPatch(field, item, schema.items)) : item));
}

function valuePatch(field: string, value: Json, schema: JsonSchema | undefined): Json {
  if (Array.isArray(value)) return listPatch(field, value, schema);
  if (!isObject(value)) return value;
  if (schema?.additionalProperties !== undefined || schema?.["x-kubernetes-preserve-unknown-fields"] === true)
    return value;
  return chooseMember(field, objectPatch(field, value, schema));
}

/** A field of users may have any name, also one that objects of JavaScript have by themselves. */
function propertyOf(schema: JsonSchema | undefined, key: string): JsonSchema | undefined {
  const properties = schema?.properties ?? {};
  return Object.hasOwn(properties, key) ? properties[key] : undefined;
}

function setField(target: JsonObject, key: string, value: Json): void {
  if (key === "__proto__")
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

function objectPatch(holder: string, value: JsonObject, schema: JsonSchema | undefined): JsonObject {
  const patch: JsonObject = {};
  for (const [key, item] of Object.entries(value))
    if (!isAbsent(holder, key, item)) setField(patch, key, valuePatch(key, item, propertyOf(schema, key)));
  return patch;
}

/** Levels of nesting in a layer: far above what the API knows. */
const MAX_DEPTH = 100;

function isDeeper(value: Json, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((item) => isDeeper(item, levels - 1));
}

function mergeLayer(base: JsonObject, layer: Layer): JsonObject {
  if (isDeeper(layer.spec, MAX_DEPTH))
    throw new LayerError("spec", `${layer.label}: spec is nested deeper than ${MAX_DEPTH} levels`);
  try {
    const merged = strategicMerge(base, objectPatch("spec", layer.spec, SPEC_MERGE_SCHEMA), SPEC_MERGE_SCHEMA);
    return isObject(merged) ? merged : {};
  } catch (error) {
    if (!(error instanceof StrategicMergeError)) throw error;
    throw new LayerError(`spec.${error.path}`, `${layer.label}: spec.${error.message}`);
  }
}

/** Merges a container over another one, by the rules by which layers merge. */
export function mergeContainer(base: JsonObject, override: JsonObject): JsonObject {
  const merged = strategicMerge(
    base,
    objectPatch("container", override, CONTAINER_MERGE_SCHEMA),
    CONTAINER_MERGE_SCHEMA,
  );
  return isObject(merged) ? merged : base;
}

/**
 * Merges specs, later ones over earlier ones, as KServe does: a strategic merge patch in which empty texts and lists, and
 * zero where Go's type is no pointer, count as not given. Beyond KServe: a choice among alternatives (source of a volume or a
 * variable, handler of a probe) replaces the other alternative, and raw content is replaced as a whole. Pure; the inputs stay
 * as they are. Errors: `LayerError`.
 */
export function mergeLayers(layers: readonly Layer[]): JsonObject {
  return layers.reduce<JsonObject>(mergeLayer, {});
}
