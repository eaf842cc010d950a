import { at, isObject, listAt, numberAt, objectAt, textAt } from "./json.ts";
import type { FieldError, FieldErrorKind, Json, JsonObject } from "./schema/types.ts";

/** What a validation found; warnings do not refuse an object. */
export interface Findings {
  readonly errors: readonly FieldError[];
  readonly warnings: readonly string[];
}

/** Collects errors, so that all of them are told at once. */
class Collector {
  readonly errors: FieldError[] = [];
  readonly warnings: string[] = [];

  add(kind: FieldErrorKind, path: string, message: string, value?: Json): void {
    this.errors.push({ kind, path, message, value });
  }
}

const WORKLOADS = ["spec", "spec.prefill"] as const;
const steps = (path: string): string[] => path.split(".");

/**
 * Checks what the schema of an LLMInferenceService (v1alpha2) cannot say: fields that exclude or need each other, and what
 * may not change (`old`: the stored object, on updates). The rules and paths are those of KServe's webhook; an object that
 * is being deleted passes.
 */
export function validateService(object: JsonObject, old?: JsonObject): Findings {
  const found = new Collector();
  if (old !== undefined && at(object, "metadata", "deletionTimestamp") !== undefined) return found;
  checkRoute(found, object);
  checkTraffic(found, object);
  for (const path of WORKLOADS) {
    const workload = objectAt(object, ...steps(path));
    if (workload !== undefined) checkWorkload(found, path, workload);
  }
  checkScheduler(found, object);
  checkAdapters(found, object);
  checkConfidential(found, object);
  if (old !== undefined) checkImmutable(found, object, old);
  return found;
}

/** Checks an LLMInferenceServiceConfig beyond its schema; its templates are rendered elsewhere. */
export function validateConfig(object: JsonObject): Findings {
  const found = new Collector();
  if (listAt(object, "spec", "baseRefs").length > 0)
    found.add(
      "Forbidden",
      "spec.baseRefs",
      "a config cannot build on other configs; name them in the service's baseRefs",
    );
  checkSchedulerReplicas(found, object);
  return found;
}

function checkRoute(found: Collector, object: JsonObject): void {
  const router = objectAt(object, "spec", "router");
  const http = objectAt(router, "route", "http");
  const refs = listAt(http, "refs");
  const inline = objectAt(http, "spec");
  const gateway = objectAt(router, "gateway");
  const gateways = listAt(gateway, "refs");
  if (refs.length > 0 && inline !== undefined)
    found.add("Invalid", "spec.router.route.http", "refs and spec exclude each other: keep one of them", { ...http });
  if (refs.length > 0 && gateway !== undefined && gateways.length === 0)
    found.add(
      "Invalid",
      "spec.router.route.http.refs",
      "routes of your own cannot use a managed gateway: remove spec.router.gateway, or name gateways in its refs",
      [...refs],
    );
  const parents = listAt(inline, "parentRefs");
  if (parents.length === 0 || gateways.length === 0) return;
  if (sameReferences(parents, gateways)) {
    found.warnings.push("spec.router.route.http.spec.parentRefs repeats spec.router.gateway.refs and can be left out");
    return;
  }
  found.add(
    "Invalid",
    "spec.router.route.http.spec",
    "its parentRefs differ from spec.router.gateway.refs: remove one of them",
    { parentRefs: [...parents] },
  );
}

function sameReferences(a: readonly Json[], b: readonly Json[]): boolean {
  const text = (list: readonly Json[]): string =>
    list
      .map((item) => ["namespace", "name", "sectionName"].map((key) => textAt(item, key) ?? "").join("\0"))
      .sort()
      .join("\n");
  return text(a) === text(b);
}

function checkTraffic(found: Collector, object: JsonObject): void {
  const route = objectAt(object, "spec", "router", "route");
  const [group, weight] = [at(route, "group"), at(route, "weight")];
  if (group === undefined && weight === undefined) return;
  const path = "spec.router.route";
  if (objectAt(object, "spec", "router", "ingress") !== undefined)
    return found.add("Invalid", `${path}.group`, "a group needs the Gateway API: remove spec.router.ingress", group);
  if (group === undefined) return found.add("Required", `${path}.group`, "a weight needs a group");
  if (weight === undefined) return found.add("Required", `${path}.weight`, "a member of a group needs a weight");
  if (listAt(route, "http", "refs").length > 0)
    found.add("Invalid", `${path}.group`, "a group needs a managed route: remove spec.router.route.http.refs", group);
}

function checkWorkload(found: Collector, path: string, workload: JsonObject): void {
  checkParallelism(found, path, workload);
  checkScaling(found, path, workload);
  checkRollout(found, path, workload);
}

function checkParallelism(found: Collector, path: string, workload: JsonObject): void {
  const parallelism = objectAt(workload, "parallelism");
  const [pipeline, data, dataLocal] = ["pipeline", "data", "dataLocal"].map((name) => numberAt(parallelism, name));
  const dataParallel = (data ?? 0) > 0 || (dataLocal ?? 0) > 0;
  const pipelineParallel = (pipeline ?? 0) > 0;
  if (objectAt(workload, "worker") !== undefined && !dataParallel && !pipelineParallel) {
    found.add("Invalid", `${path}.worker`, "workers need data or pipeline parallelism: set parallelism");
    if (parallelism === undefined) return;
  }
  if (parallelism === undefined) return;
  if (dataParallel && pipelineParallel)
    found.add("Invalid", `${path}.parallelism`, "data and pipeline parallelism exclude each other", { ...parallelism });
  if (data !== undefined && dataLocal === undefined)
    found.add("Invalid", `${path}.parallelism.dataLocal`, "needed together with data");
  if (dataLocal !== undefined && data === undefined)
    found.add("Invalid", `${path}.parallelism.data`, "needed together with dataLocal");
  for (const [name, value] of Object.entries({ pipeline, data, dataLocal }))
    if (value !== undefined && value <= 0)
      found.add("Invalid", `${path}.parallelism.${name}`, "must be greater than 0", value);
}

function checkScaling(found: Collector, path: string, workload: JsonObject): void {
  const scaling = objectAt(workload, "scaling");
  if (scaling === undefined) return;
  const place = `${path}.scaling`;
  if (at(workload, "replicas") !== undefined)
    found.add("Invalid", place, "excludes replicas: an autoscaler sets them; remove one of the two");
  const [least, most] = [numberAt(scaling, "minReplicas"), numberAt(scaling, "maxReplicas")];
  if (least !== undefined && most !== undefined && least > most)
    found.add("Invalid", `${place}.minReplicas`, `must not exceed maxReplicas (${most})`, least);
  const [wva, keda] = [objectAt(scaling, "wva"), objectAt(scaling, "keda")];
  if (wva !== undefined && keda !== undefined) found.add("Invalid", place, "wva and keda exclude each other");
  if (wva === undefined && keda === undefined) found.add("Required", place, "one of wva and keda is needed");
  if (wva !== undefined) checkWva(found, `${place}.wva`, wva);
  if (keda !== undefined && listAt(keda, "triggers").length === 0)
    found.add("Required", `${place}.keda.triggers`, "at least one trigger is needed");
}

function checkWva(found: Collector, path: string, wva: JsonObject): void {
  const [hpa, keda] = [objectAt(wva, "hpa"), objectAt(wva, "keda")];
  if (hpa !== undefined && keda !== undefined) found.add("Invalid", path, "hpa and keda exclude each other");
  if (hpa === undefined && keda === undefined) found.add("Required", path, "one of hpa and keda is needed");
  const cost = textAt(wva, "variantCost");
  if (cost !== undefined && !/^\d+(\.\d+)?$/.test(cost))
    found.add("Invalid", `${path}.variantCost`, "must be a decimal number such as 10.0", cost);
}

/** Absolute number or percentage of `maxSurge` and `maxUnavailable`. */
function checkRollout(found: Collector, path: string, workload: JsonObject): void {
  for (const name of ["maxUnavailable", "maxSurge"]) {
    const value = at(workload, "rolloutStrategy", name);
    if (value === undefined) continue;
    const percent = typeof value === "string" ? /^(\d+)%$/.exec(value) : null;
    const valid = typeof value === "number" ? value >= 0 : percent !== null && Number(percent[1]) <= 100;
    if (!valid)
      found.add(
        "Invalid",
        `${path}.rolloutStrategy.${name}`,
        "must be a number from 0 on, or a percentage up to 100%",
        value,
      );
  }
}

function checkSchedulerReplicas(found: Collector, object: JsonObject): void {
  const replicas = numberAt(object, "spec", "router", "scheduler", "replicas");
  if (replicas !== undefined && replicas <= 0)
    found.add("Invalid", "spec.router.scheduler.replicas", "must be greater than 0", replicas);
}

function checkScheduler(found: Collector, object: JsonObject): void {
  checkSchedulerReplicas(found, object);
  const config = objectAt(object, "spec", "router", "scheduler", "config");
  if (config === undefined) return;
  const path = "spec.router.scheduler.config";
  const [inline, ref] = [at(config, "inline"), objectAt(config, "ref")];
  if ((inline === undefined) === (ref === undefined))
    found.add("Invalid", path, "exactly one of inline and ref is needed", { ...config });
  if (isObject(inline) && Object.keys(inline).length === 0)
    found.add("Invalid", `${path}.inline`, "must hold an EndpointPickerConfig", inline);
  if (ref !== undefined && (textAt(ref, "name") ?? "") === "")
    found.add("Invalid", `${path}.ref.name`, "must name a ConfigMap", "");
}

function checkAdapters(found: Collector, object: JsonObject): void {
  const path = "spec.model.lora";
  for (const name of ["maxRank", "maxAdapters", "maxCpuAdapters"]) {
    const value = numberAt(object, "spec", "model", "lora", name);
    if (value !== undefined && value < 1) found.add("Invalid", `${path}.${name}`, "must be at least 1", value);
  }
  const base = textAt(object, "spec", "model", "name") ?? textAt(object, "metadata", "name");
  const seen = new Map<string, number>();
  listAt(object, "spec", "model", "lora", "adapters").forEach((adapter, index) => {
    const name = textAt(adapter, "name") ?? "";
    const place = `${path}.adapters[${index}].name`;
    if (name === "") return found.add("Required", place, "an adapter needs a name");
    if (name === "." || name === "..") found.add("Invalid", place, "must not be a path", name);
    if (name === base) found.add("Invalid", place, "must differ from the name of the base model", name);
    const earlier = seen.get(name);
    if (earlier !== undefined) found.add("Invalid", place, `is the name of adapters[${earlier}] too`, name);
    else seen.set(name, index);
  });
}

const KEY_BROKER_ID = /^kbs:\/\/\/[\w.-]+\/[\w.-]+\/[\w.-]+$/;

function checkConfidential(found: Collector, object: JsonObject): void {
  if (at(object, "spec", "model", "confidential", "enabled") !== true) return;
  const uri = textAt(object, "spec", "model", "uri") ?? "";
  if (/^(oci|pvc):/.test(uri))
    found.warnings.push(`spec.model.confidential has no effect on ${uri.slice(0, 6)} models`);
  const id = textAt(object, "spec", "model", "confidential", "resourceId") ?? "";
  if (id !== "" && !KEY_BROKER_ID.test(id))
    found.add("Invalid", "spec.model.confidential.resourceId", "must have the form kbs:///repository/type/tag", id);
}

/** Total number of pods that one model instance spans. */
function parallelismSize(workload: JsonObject | undefined): number {
  const parallelism = objectAt(workload, "parallelism");
  const pipeline = numberAt(parallelism, "pipeline");
  if (pipeline !== undefined && pipeline > 0) return pipeline;
  const [data, dataLocal] = [numberAt(parallelism, "data"), numberAt(parallelism, "dataLocal")];
  return data === undefined ? 1 : Math.max(1, Math.floor(data / Math.max(1, dataLocal ?? 1)));
}

function checkImmutable(found: Collector, object: JsonObject, old: JsonObject): void {
  for (const path of WORKLOADS) {
    const [now, before] = [objectAt(object, ...steps(path)), objectAt(old, ...steps(path))];
    if (now === undefined || before === undefined) continue;
    const [size, earlier] = [parallelismSize(now), parallelismSize(before)];
    if (size === earlier) continue;
    const message = `the number of pods of an instance cannot change: it was ${earlier}, and would be ${size}`;
    found.add("NotSupported", `${path}.parallelism`, message, at(now, "parallelism") ?? null);
  }
}
