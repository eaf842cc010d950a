import { at, listAt, objectAt, textAt } from "./json.ts";
import type { Json, JsonObject } from "./schema/types.ts";
import { checkDevices } from "./validation/devices.ts";
import { Collector, type Findings, WORKLOADS } from "./validation/findings.ts";
import { checkModel, checkModelTypes } from "./validation/model.ts";
import { checkScaling, checkScalingModes } from "./validation/scaling.ts";
import { checkScheduler, checkSchedulerReplicas } from "./validation/scheduler.ts";
import { warnAboutName, warnAboutNoEffect } from "./validation/warnings.ts";
import { checkWorkload, parallelismSize } from "./validation/workload.ts";

export type { Findings } from "./validation/findings.ts";

const steps = (path: string): string[] => path.split(".");

/**
 * Checks what the schema of an LLMInferenceService (v1alpha2) cannot say: fields that exclude or need each other, and what
 * may not change (`old`: the stored object, on updates). The rules and paths are those of KServe's webhook, which differ where
 * the object came in another version (`writtenAs`); an object that is being deleted passes.
 */
export function validateService(object: JsonObject, old?: JsonObject, writtenAs?: string): Findings {
  const found = new Collector();
  if (old !== undefined && at(object, "metadata", "deletionTimestamp") !== undefined) return found;
  checkRoute(found, object, writtenAs === "v1alpha1");
  checkTraffic(found, object);
  for (const path of WORKLOADS) {
    const workload = objectAt(object, ...steps(path));
    if (workload === undefined) continue;
    checkWorkload(found, path, workload);
    checkScaling(found, path, workload);
  }
  checkScalingModes(found, object);
  checkScheduler(found, object);
  checkModel(found, object);
  checkDevices(found, object);
  if (old === undefined) warnAboutName(found, object);
  else checkImmutable(found, object, old);
  warnAboutNoEffect(found, object);
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
  checkModelTypes(found, object);
  return found;
}

function checkRoute(found: Collector, object: JsonObject, isFirstVersion: boolean): void {
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
  if (sameReferences(parents, gateways) && !isFirstVersion) {
    found.warn("spec.router.route.http.spec.parentRefs repeats spec.router.gateway.refs and can be left out");
    return;
  }
  found.add(
    "Invalid",
    "spec.router.route.http.spec",
    isFirstVersion
      ? "parentRefs and spec.router.gateway.refs exclude each other in v1alpha1: remove one of them"
      : "its parentRefs differ from spec.router.gateway.refs: remove one of them",
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
