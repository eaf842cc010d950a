import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { servingSelector } from "../labels.ts";
import { type ChildNames, childNames } from "../names.ts";
import { at, isObject, listAt, objectAt, textAt } from "../../crds/json.ts";
import type { ReferencedConfig } from "./scheduler-config.ts";
import type { ObjectMetadata } from "./types.ts";

const PICKER_PORT = 9002;

/** What completes a spec. */
export interface CompletionInput {
  readonly metadata: ObjectMetadata;
  readonly referenced: ReferencedConfig;
}

/** The object with the value at a path changed; unchanged where the path does not lead to an object. */
function editAt(root: JsonObject, path: readonly string[], edit: (value: JsonObject) => JsonObject): JsonObject {
  const [key, ...rest] = path;
  if (key === undefined) return edit(root);
  const next = root[key];
  return isObject(next) ? { ...root, [key]: editAt(next, rest, edit) } : root;
}

/** Fields that are absent get these values. */
function withDefaults(value: JsonObject, defaults: JsonObject): JsonObject {
  return { ...defaults, ...value };
}

function gatewayParent(ref: Json): JsonObject {
  const [namespace, section] = [textAt(ref, "namespace") ?? "", textAt(ref, "sectionName") ?? ""];
  return {
    group: "gateway.networking.k8s.io",
    kind: "Gateway",
    name: textAt(ref, "name") ?? "",
    ...(namespace === "" ? {} : { namespace }),
    ...(section === "" ? {} : { sectionName: section }),
  };
}

/** The own backend of a service without a scheduler is its pods; with a foreign pool it is that pool. */
function backendEdit(spec: JsonObject, names: ChildNames): ((ref: JsonObject) => JsonObject) | undefined {
  const scheduler = objectAt(spec, "router", "scheduler");
  if (scheduler === undefined) return (ref) => ({ ...ref, group: "", kind: "Service", name: names.workloadService });
  const pool = textAt(scheduler, "pool", "ref", "name");
  return pool === undefined ? undefined : (ref) => ({ ...ref, name: pool });
}

function withBackends(rule: Json, pool: string, edit: (ref: JsonObject) => JsonObject): Json {
  if (!isObject(rule) || !Array.isArray(rule["backendRefs"])) return rule;
  const refs = rule["backendRefs"].map((ref) =>
    isObject(ref) && ref["kind"] === "InferencePool" && ref["name"] === pool ? edit(ref) : ref,
  );
  return { ...rule, backendRefs: refs };
}

function completeRoute(spec: JsonObject, names: ChildNames): JsonObject {
  const gateways = listAt(spec, "router", "gateway", "refs");
  const edit = backendEdit(spec, names);
  return editAt(spec, ["router", "route", "http", "spec"], (route) => ({
    ...route,
    ...(gateways.length > 0 ? { parentRefs: gateways.map(gatewayParent) } : {}),
    ...(edit !== undefined && Array.isArray(route["rules"])
      ? { rules: route["rules"].map((rule) => withBackends(rule, names.pool, edit)) }
      : {}),
  }));
}

function completePool(spec: JsonObject, metadata: ObjectMetadata): JsonObject {
  const selected = editAt(spec, ["router", "scheduler", "pool", "spec"], (pool) => {
    const labels = objectAt(pool, "selector", "matchLabels") ?? {};
    if (Object.keys(labels).length > 0) return pool;
    return { ...pool, selector: { ...objectAt(pool, "selector"), matchLabels: { ...servingSelector(metadata.name) } } };
  });
  return editAt(selected, ["router", "scheduler", "pool", "spec", "endpointPickerRef"], (picker) => {
    const given = withDefaults(picker, { group: "", kind: "Service", failureMode: "FailClose" });
    const port = at(picker, "port", "number");
    const needsPort = (given["kind"] === "Service" || given["kind"] === "") && (port === undefined || port === 0);
    return needsPort ? { ...given, port: { ...objectAt(picker, "port"), number: PICKER_PORT } } : given;
  });
}

function completeScheduler(spec: JsonObject, names: ChildNames, referenced: ReferencedConfig): JsonObject {
  const accounted = editAt(spec, ["router", "scheduler", "template"], (template) =>
    (textAt(template, "serviceAccountName") ?? "") === ""
      ? { ...template, serviceAccountName: names.schedulerServiceAccount }
      : template,
  );
  return editAt(accounted, ["router", "scheduler", "config"], (config) => {
    const { ref: _resolved, ...rest } = config;
    return referenced.kind === "text" ? { ...rest, inline: referenced.text } : rest;
  });
}

function completeScaling(scaling: JsonObject): JsonObject {
  const costed = editAt(withDefaults(scaling, { minReplicas: 1 }), ["wva"], (wva) =>
    withDefaults(wva, { variantCost: "10.0" }),
  );
  const fallback = (value: JsonObject): JsonObject => withDefaults(value, { behavior: "static" });
  return editAt(editAt(costed, ["keda", "fallback"], fallback), ["wva", "keda", "fallback"], fallback);
}

/** Defaults that KServe's CRD writes before merging, where they hide what a lower layer says; here they come last. */
function completeWorkload(workload: JsonObject): JsonObject {
  const scaled = editAt(workload, ["scaling"], completeScaling);
  return editAt(scaled, ["kvCacheOffloading"], (offloading) => withDefaults(offloading, { evictionPolicy: "lru" }));
}

const byName = (left: Json, right: Json): number => {
  const [a, b] = [textAt(left, "name") ?? "", textAt(right, "name") ?? ""];
  return a < b ? -1 : a > b ? 1 : 0;
};

function sortAdapters(spec: JsonObject): JsonObject {
  return editAt(spec, ["model", "lora"], (lora) =>
    Array.isArray(lora["adapters"]) ? { ...lora, adapters: lora["adapters"].toSorted(byName) } : lora,
  );
}

/** Fills in what follows from the rest of a merged spec, before it is rendered: presets may refer to it. */
export function completeBeforeRendering(spec: JsonObject, metadata: ObjectMetadata): JsonObject {
  const named = { ...spec, model: withDefaults(objectAt(spec, "model") ?? {}, { name: metadata.name }) };
  return editAt(completeWorkload(named), ["prefill"], completeWorkload);
}

/**
 * Completes a rendered spec (KServe v0.20): parents and backends of the managed route, selector and port of the pool, the
 * scheduler's ServiceAccount and its referenced configuration (taken as it is, not rendered), adapters by name.
 */
export function completeRendered(spec: JsonObject, { metadata, referenced }: CompletionInput): JsonObject {
  const names = childNames(metadata.namespace, metadata.name);
  const routed = completeRoute(spec, names);
  return sortAdapters(completeScheduler(completePool(routed, metadata), names, referenced));
}
