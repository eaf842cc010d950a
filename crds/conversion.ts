import { GROUP } from "./definitions.ts";
import { at, isObject, listAt, numberAt, objectAt, sameJson, textAt, withAt } from "./json.ts";
import type { Json, JsonObject } from "./schema/types.ts";

/** Annotations in which v1alpha2 carries what only v1alpha1 has, as KServe names them. */
const CRITICALITY = "internal.serving.kserve.io/model-criticality";
const LORA_CRITICALITIES = "internal.serving.kserve.io/lora-criticalities";
/** Annotation in which v1alpha1 carries what only v1alpha2 has: JSON of paths and values. */
const V1ALPHA2_ONLY = "internal.serving.kserve.io/v1alpha2-only";

const POOL = ["spec", "router", "scheduler", "pool", "spec"] as const;
const DEFAULT_PICKER_PORT = 9002;

/** Kinds and version pairs that cannot be converted into each other. */
export class ConversionError extends Error {}

/**
 * Converts an LLMInferenceService or LLMInferenceServiceConfig between `serving.kserve.io/v1alpha1` and `v1alpha2`.
 * Lossless both ways: what one version cannot express travels in an annotation. An object of the wanted version comes back
 * as it is. Errors: `ConversionError` for any other apiVersion.
 */
export function convert(object: JsonObject, toApiVersion: string): JsonObject {
  const from = object["apiVersion"];
  if (from === toApiVersion) return object;
  if (from === `${GROUP}/v1alpha1` && toApiVersion === `${GROUP}/v1alpha2`) return toHub(object);
  if (from === `${GROUP}/v1alpha2` && toApiVersion === `${GROUP}/v1alpha1`) return fromHub(object);
  throw new ConversionError(`cannot convert ${JSON.stringify(from)} to ${JSON.stringify(toApiVersion)}`);
}

function toHub(object: JsonObject): JsonObject {
  let result = withAt(object, ["apiVersion"], `${GROUP}/v1alpha2`);
  result = moveCriticality(result);
  const pool = objectAt(result, ...POOL);
  if (pool !== undefined) result = withAt(result, POOL, poolToHub(pool));
  return restoreHubOnly(result, object);
}

function fromHub(object: JsonObject): JsonObject {
  const saved = hubOnly(object);
  let result = withAt(object, ["apiVersion"], `${GROUP}/v1alpha1`);
  result = restoreCriticality(result);
  for (const path of HUB_ONLY_PATHS) if (at(result, ...path) !== undefined) result = withAt(result, path, undefined);
  const pool = objectAt(result, ...POOL);
  if (pool !== undefined) result = withAt(result, POOL, poolFromHub(pool));
  return Object.keys(saved).length === 0 ? result : withAnnotation(result, V1ALPHA2_ONLY, JSON.stringify(saved));
}

/** Sets or removes an annotation; a map that becomes empty by a removal goes. */
function withAnnotation(object: JsonObject, key: string, value: string | undefined): JsonObject {
  const path = ["metadata", "annotations"];
  if (value === undefined && at(object, ...path, key) === undefined) return object;
  const result = withAt(object, [...path, key], value);
  const left = Object.keys(objectAt(result, ...path) ?? {}).length;
  return left === 0 ? withAt(result, path, undefined) : result;
}

const annotation = (object: JsonObject, key: string): string | undefined =>
  textAt(object, "metadata", "annotations", key);

function moveCriticality(object: JsonObject): JsonObject {
  const own = textAt(object, "spec", "model", "criticality");
  let result = own === undefined ? object : withAt(object, ["spec", "model", "criticality"], undefined);
  if (own !== undefined && own !== "") result = withAnnotation(result, CRITICALITY, own);
  const adapters = listAt(result, "spec", "model", "lora", "adapters");
  const found = adapters.flatMap((adapter, index) => {
    const value = textAt(adapter, "criticality");
    return value === undefined || value === "" ? [] : [[String(index), value] as const];
  });
  if (found.length === 0) return result;
  const plain = adapters.map((adapter) => (isObject(adapter) ? withAt(adapter, ["criticality"], undefined) : adapter));
  result = withAt(result, ["spec", "model", "lora", "adapters"], plain);
  return withAnnotation(result, LORA_CRITICALITIES, JSON.stringify(Object.fromEntries(found)));
}

function restoreCriticality(object: JsonObject): JsonObject {
  const own = annotation(object, CRITICALITY);
  let result = object;
  if (own !== undefined && own !== "")
    result = withAnnotation(withAt(result, ["spec", "model", "criticality"], own), CRITICALITY, undefined);
  const text = annotation(result, LORA_CRITICALITIES);
  if (text === undefined || text === "") return result;
  result = withAnnotation(result, LORA_CRITICALITIES, undefined);
  const values = parseObject(text);
  const adapters = listAt(result, "spec", "model", "lora", "adapters");
  if (adapters.length === 0) return result;
  const restored = adapters.map((adapter, index): Json => {
    const value = values[String(index)];
    return isObject(adapter) && typeof value === "string" ? { ...adapter, criticality: value } : adapter;
  });
  return withAt(result, ["spec", "model", "lora", "adapters"], restored);
}

/** A JSON object in an annotation; a damaged one is empty, since an object must never become unreadable by it. */
function parseObject(text: string): JsonObject {
  try {
    const value: Json = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function poolToHub(pool: JsonObject): JsonObject {
  const { selector, targetPortNumber, extensionRef, ...rest } = pool;
  return {
    ...rest,
    ...(selector === undefined ? {} : { selector: selector === null ? null : { matchLabels: selector } }),
    ...(targetPortNumber === undefined ? {} : { targetPorts: [{ number: targetPortNumber }] }),
    ...(isObject(extensionRef) ? { endpointPickerRef: pickerToHub(extensionRef) } : {}),
  };
}

function pickerToHub(reference: JsonObject): JsonObject {
  const { portNumber, ...rest } = reference;
  const kind = textAt(reference, "kind") ?? "Service";
  const given = typeof portNumber === "number" && portNumber !== 0 ? portNumber : undefined;
  const port = given ?? (kind === "Service" || kind === "" ? DEFAULT_PICKER_PORT : undefined);
  return {
    ...rest,
    kind,
    failureMode: textAt(reference, "failureMode") ?? "FailClose",
    ...(port === undefined ? {} : { port: { number: port } }),
  };
}

function poolFromHub(pool: JsonObject): JsonObject {
  const { selector, targetPorts, endpointPickerRef, appProtocol: _appProtocol, ...rest } = pool;
  const port = Array.isArray(targetPorts) ? numberAt(targetPorts[0], "number") : undefined;
  const labels = at(selector, "matchLabels");
  return {
    ...rest,
    ...(labels === undefined ? {} : { selector: labels }),
    ...(port === undefined ? {} : { targetPortNumber: port }),
    ...(isObject(endpointPickerRef) ? { extensionRef: pickerFromHub(endpointPickerRef) } : {}),
  };
}

function pickerFromHub(reference: JsonObject): JsonObject {
  const { port, ...rest } = reference;
  const number = numberAt(port, "number");
  return { ...rest, ...(number === undefined ? {} : { portNumber: number }) };
}

const HUB_ONLY_PATHS: readonly (readonly string[])[] = [
  ["spec", "model", "confidential"],
  ["spec", "kvCacheOffloading"],
  ["spec", "prefill", "kvCacheOffloading"],
];

/** What v1alpha1 has no field for, by dotted path. */
function hubOnly(object: JsonObject): JsonObject {
  const saved: JsonObject = {};
  for (const path of HUB_ONLY_PATHS) {
    const value = at(object, ...path);
    if (value !== undefined) saved[path.join(".")] = value;
  }
  const pool = objectAt(object, ...POOL);
  if (pool !== undefined && !sameJson(poolToHub(poolFromHub(pool)), pool)) saved[POOL.join(".")] = pool;
  return saved;
}

/** The inverse of `hubOnly`. What a client of v1alpha1 changed meanwhile stays changed. */
function restoreHubOnly(object: JsonObject, written: JsonObject): JsonObject {
  const text = annotation(object, V1ALPHA2_ONLY);
  if (text === undefined) return object;
  const saved = parseObject(text);
  let result = withAnnotation(object, V1ALPHA2_ONLY, undefined);
  for (const path of HUB_ONLY_PATHS) {
    const value = saved[path.join(".")];
    if (value !== undefined && objectAt(result, ...path.slice(0, -1)) !== undefined)
      result = withAt(result, path, value);
  }
  const [pool, before] = [objectAt(written, ...POOL), saved[POOL.join(".")]];
  return pool !== undefined && isObject(before) ? withAt(result, POOL, restoredPool(pool, before)) : result;
}

/** The pool as it was in v1alpha2, where v1alpha1 still shows the same; else each part that does. */
function restoredPool(pool: JsonObject, before: JsonObject): JsonObject {
  const shown = poolFromHub(before);
  if (sameJson(shown, pool)) return before;
  const parts = [
    ["selector", "selector"],
    ["targetPortNumber", "targetPorts"],
    ["extensionRef", "endpointPickerRef"],
  ] as const;
  return parts.reduce(
    (result, [old, current]) =>
      sameJson(shown[old] ?? null, pool[old] ?? null) ? withAt(result, [current], before[current]) : result,
    { ...poolToHub(pool), ...(before["appProtocol"] === undefined ? {} : { appProtocol: before["appProtocol"] }) },
  );
}
