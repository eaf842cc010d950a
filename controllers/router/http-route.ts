import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, listAt, objectAt, textAt } from "../../crds/json.ts";
import { objectsOf } from "../json-edit.ts";
import { COMPONENTS, ROUTING_GROUP_LABEL, componentLabels } from "../labels.ts";
import { type Pass, PassError, child } from "../llminferenceservice/pass.ts";
import { loraAdapters, qualifiedModelName } from "../workload/lora.ts";
import { MODEL_ROUTING_ANNOTATION } from "../workload/metadata.ts";
import { findGateway, gatewayParents, routeRefs } from "./gateway.ts";
import { groupName, routingGroup, withGroupBackends } from "./group.ts";
import { referencedPool, runsScheduler } from "./pool-reference.ts";
import { POOL_ANNOTATION, POOL_ANNOTATION_VALUES, POOL_GROUPS, referencedVersion, routedPool } from "./pool-version.ts";

/** Limits of an HTTPRoute (Gateway API v1). */
const MAX_MATCHES_PER_RULE = 64;
const MAX_MATCHES = 128;
const MAX_RULES = 16;

function withBackends(rules: readonly JsonObject[], edit: (ref: JsonObject) => JsonObject): JsonObject[] {
  return rules.map((rule) =>
    rule["backendRefs"] === undefined ? rule : { ...rule, backendRefs: objectsOf(rule["backendRefs"]).map(edit) },
  );
}

function withPoolGroup(pass: Pass, rules: readonly JsonObject[]): JsonObject[] {
  const referenced = referencedPool(pass);
  const name = referenced ?? pass.names.pool;
  const version = referenced === undefined ? routedPool(pass) : referencedVersion(pass, referenced);
  return withBackends(rules, (ref) =>
    ref["kind"] === "InferencePool" && ref["name"] === name ? { ...ref, group: POOL_GROUPS[version] } : ref,
  );
}

function optsOut(pass: Pass, spec: JsonObject): boolean {
  return gatewayParents({ namespace: pass.namespace, name: pass.names.route, spec }).some(
    (ref) => textAt(findGateway(pass, ref), "metadata", "annotations", MODEL_ROUTING_ANNOTATION) === "false",
  );
}

/** Whether requests are routed by the model name in a header too: asked for by the workload, unless a Gateway of the route opts out. */
export function routesByModel(pass: Pass, spec: JsonObject): boolean {
  const { modelRoutingHeader, modelRoutingMode } = pass.global.ingress;
  if (modelRoutingHeader === "" || modelRoutingMode === "disabled") return false;
  if (at(pass.spec, "annotations", MODEL_ROUTING_ANNOTATION) !== "true") return false;
  return modelRoutingMode === "forced" || !optsOut(pass, spec);
}

/** Whether a match of a rule reads the header that carries the model name. */
export function readsModelHeader(match: Json | undefined, header: string): boolean {
  return objectsOf(at(match, "headers")).some((entry) => entry["name"] === header);
}

function withoutModelRouting(rules: readonly JsonObject[], header: string): JsonObject[] {
  return rules.flatMap((rule) => {
    const matches = objectsOf(rule["matches"]);
    if (matches.length === 0) return [rule];
    const kept = matches.filter((match) => !readsModelHeader(match, header));
    return kept.length === 0 ? [] : [{ ...rule, matches: kept }];
  });
}

function forAdapter(match: JsonObject, header: string, value: string): JsonObject {
  return {
    ...match,
    headers: objectsOf(match["headers"]).map((entry) => (entry["name"] === header ? { ...entry, value } : entry)),
  };
}

/** A rule with more matches than the API allows becomes several, numbered from the second on. */
function split(rule: JsonObject, matches: readonly JsonObject[]): JsonObject[] {
  const count = Math.ceil(matches.length / MAX_MATCHES_PER_RULE);
  return Array.from({ length: count }, (_, index) => ({
    ...rule,
    ...(index > 0 && typeof rule["name"] === "string" ? { name: `${rule["name"]}-${index + 1}` } : {}),
    matches: matches.slice(index * MAX_MATCHES_PER_RULE, (index + 1) * MAX_MATCHES_PER_RULE),
  }));
}

function withAdapters(pass: Pass, rules: readonly JsonObject[], header: string): JsonObject[] {
  const values = loraAdapters(pass.spec).map(({ name }) => qualifiedModelName(pass.namespace, name));
  if (values.length === 0) return [...rules];
  return rules.flatMap((rule) => {
    const matches = objectsOf(rule["matches"]);
    const routed = matches.filter((match) => readsModelHeader(match, header));
    const copies = routed.flatMap((match) => values.map((value) => forAdapter(match, header, value)));
    return copies.length === 0 ? [rule] : split(rule, [...matches, ...copies]);
  });
}

function withinLimits(rules: readonly JsonObject[]): readonly JsonObject[] {
  const matches = rules.reduce((sum, rule) => sum + Math.max(1, objectsOf(rule["matches"]).length), 0);
  if (rules.length <= MAX_RULES && matches <= MAX_MATCHES) return rules;
  throw new PassError(
    "InvalidHTTPRoute",
    `spec.router.route: ${rules.length} rules with ${matches} matches exceed what an HTTPRoute may have (${MAX_RULES} and ${MAX_MATCHES}): use fewer LoRA adapters, or set modelBasedRoutingMode to disabled`,
  );
}

function rulesOf(pass: Pass, spec: JsonObject): readonly JsonObject[] {
  const { modelRoutingHeader: header, disableRouteTimeouts } = pass.global.ingress;
  const pooled = withPoolGroup(pass, objectsOf(spec["rules"]));
  const routed = routesByModel(pass, spec) ? withAdapters(pass, pooled, header) : withoutModelRouting(pooled, header);
  const group = routingGroup(pass);
  const divided = group === undefined ? routed : withGroupBackends(pass, group, routed);
  const timed = disableRouteTimeouts ? divided.map(({ timeouts: _timeouts, ...rule }) => rule) : divided;
  return withinLimits(timed);
}

const specs = new WeakMap<Pass, { readonly spec: JsonObject | undefined }>();

/** Spec of the managed route, made once in a pass; undefined where the service has none or refers to routes of its own. */
export function managedRouteSpec(pass: Pass): JsonObject | undefined {
  const made = specs.get(pass) ?? { spec: routeSpec(pass) };
  specs.set(pass, made);
  return made.spec;
}

function routeSpec(pass: Pass): JsonObject | undefined {
  const spec = objectAt(pass.spec, "router", "route", "http", "spec");
  if (spec === undefined || routeRefs(pass).length > 0) return undefined;
  return listAt(spec, "rules").length === 0 ? { ...spec } : { ...spec, rules: [...rulesOf(pass, spec)] };
}

/** The managed HTTPRoute of a service that asks for one. */
export function buildHttpRoute(pass: Pass): readonly KubeObject[] {
  const spec = managedRouteSpec(pass);
  if (spec === undefined) return [];
  const annotations = runsScheduler(pass) ? { [POOL_ANNOTATION]: POOL_ANNOTATION_VALUES[routedPool(pass)] } : {};
  const group = groupName(pass.spec);
  const labels = {
    ...(group === undefined ? {} : { [ROUTING_GROUP_LABEL]: group }),
    ...componentLabels(pass.name, COMPONENTS.router),
  };
  const metadata = { name: pass.names.route, labels, annotations };
  return [child(pass, KINDS.HTTPRoute, metadata, { spec })];
}
