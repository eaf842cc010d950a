import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { Pointer, Struct, formatValue } from "../../templates/engine/values.ts";
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

/** Fields of a spec whose keys are free: Go maps. */
const MAPS: ReadonlySet<string> = new Set([
  "labels",
  "annotations",
  "nodeSelector",
  "matchLabels",
  "limits",
  "requests",
  "overhead",
]);

/** Numbers and booleans that templates test and that are no pointers in KServe's Go types. */
const PLAIN_FIELDS: ReadonlySet<string> = new Set(["expert"]);

function textMap(map: Readonly<Record<string, Json>>): ReadonlyMap<string, Value> {
  return new Map(
    Object.entries(map).map(([key, value]) => [key, typeof value === "string" ? value : goValue(key, value)]),
  );
}

function scalar(value: string | number | boolean): Value {
  if (typeof value !== "number") return value;
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}

function goValue(key: string, value: Json): Value {
  if (value === null) return new Pointer(key, undefined);
  if (Array.isArray(value)) return value.map((item) => goValue(key, item));
  if (isObject(value)) return MAPS.has(key) ? textMap(value) : goStruct(key, value);
  if (typeof value === "string" || PLAIN_FIELDS.has(key)) return scalar(value);
  return new Pointer(typeof value === "number" ? "int32" : "bool", scalar(value));
}

const WORKLOAD_FIELDS: readonly string[] = [
  "replicas",
  "parallelism",
  "template",
  "worker",
  "labels",
  "annotations",
  "scaling",
  "kvCacheOffloading",
  "rolloutStrategy",
];

/** Fields of the structs that presets read, by the field that holds them: any other name there is a mistake. */
const KNOWN_FIELDS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    spec: [...WORKLOAD_FIELDS, "model", "storageInitializer", "prefill", "router", "tracing", "baseRefs"],
    prefill: WORKLOAD_FIELDS,
    model: ["uri", "name", "lora"],
    lora: ["maxRank", "maxAdapters", "maxCpuAdapters", "adapters"],
    parallelism: ["tensor", "pipeline", "data", "dataLocal", "dataRPCPort", "expert"],
    router: ["route", "gateway", "ingress", "scheduler"],
    route: ["http"],
    scheduler: [
      "replicas",
      "labels",
      "annotations",
      "template",
      "pool",
      "config",
      "tokenizer",
      "scorerPlugins",
      "pickerPlugin",
    ],
  }),
);

function isKnown(holder: string, key: string): boolean {
  return KNOWN_FIELDS.get(holder)?.some((field) => field.toLowerCase() === key) ?? true;
}

const goName = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** Characters of a printed struct. */
const MAX_STRUCT_TEXT = 1000;

/** Go prints structs field by field; nobody builds on that text, of which only the beginning is made. */
function structText(value: JsonObject): string {
  const parts: string[] = [];
  let length = 0;
  for (const [key, item] of Object.entries(value)) {
    const part = formatValue(goValue(key, item)).slice(0, MAX_STRUCT_TEXT);
    length += part.length;
    parts.push(part);
    if (length > MAX_STRUCT_TEXT) return `{${parts.join(" ")} …`;
  }
  return `{${parts.join(" ")}}`;
}

/**
 * A JSON object as a Go struct, by the name of the field that holds it. Go's names of Kubernetes fields differ from the JSON
 * names only in capitals (`LoRA`, `lora`), so that they are compared without. A field that is not set is a nil pointer.
 */
function goStruct(holder: string, value: JsonObject): Struct {
  const fields = new Map(Object.entries(value).map(([key, item]) => [key.toLowerCase(), { key, item }]));
  const field = (name: string): Value | undefined => {
    const wanted = name.toLowerCase();
    if (!/^\p{Lu}/u.test(name) || !isKnown(holder, wanted)) return undefined;
    const found = fields.get(wanted);
    if (found !== undefined) return goValue(found.key, found.item);
    return PLAIN_FIELDS.has(wanted) ? false : new Pointer(name, undefined);
  };
  return new Struct(goName(holder), field, () => structText(value));
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
    Spec: goStruct("spec", spec),
    Status: goStruct("status", {}),
    GlobalConfig: globalConfig(globals),
  });
}
