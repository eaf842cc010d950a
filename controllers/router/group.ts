import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, objectAt, textAt } from "../../crds/json.ts";
import { compact, integerOf, objectsOf } from "../json-edit.ts";
import { type Pass, asJson } from "../llminferenceservice/pass.ts";
import { isStopped } from "../llminferenceservice/stop.ts";
import { childNames } from "../names.ts";
import { conditionOf } from "../status/conditions.ts";
import { modelNames, qualifiedModelName } from "../workload/lora.ts";
import { SERVING_PORT } from "../workload/service.ts";
import { referencedPool, runsScheduler } from "./pool-reference.ts";
import { POOL_GROUPS, referencedVersion, routedPool } from "./pool-version.ts";

/** Where requests of a member go. */
export interface Backend {
  readonly group: string;
  readonly kind: "InferencePool" | "Service";
  readonly name: string;
  readonly port: number;
}

/** One service of a routing group. */
export interface Member {
  readonly name: string;
  readonly weight: number;
  readonly stopped: boolean;
  /** Whether requests that reach it find a running server. */
  readonly routable: boolean;
  /** Whether it serves the same models as the service at hand. */
  readonly matching: boolean;
  /** Short names of the models it serves, sorted. */
  readonly models: readonly string[];
  readonly backend: Backend;
}

/** The group of a service, as that service sees it. */
export interface RoutingGroup {
  readonly name: string;
  /** By name; the service itself is one of them. */
  readonly members: readonly Member[];
}

const routeOf = (spec: Json | undefined): JsonObject | undefined => objectAt(spec, "router", "route");

/** Name of the group that a spec joins; undefined for none. */
export function groupName(spec: Json | undefined): string | undefined {
  const name = textAt(routeOf(spec), "group");
  return name === "" ? undefined : name;
}

/** What another service serves: what its status says, since its own spec may lean on configs; else that spec. */
function servedModels(service: JsonObject): readonly string[] {
  const namespace = textAt(service, "metadata", "namespace") ?? "";
  const names = objectsOf(at(service, "status", "addresses")).flatMap((address) =>
    objectsOf(address["models"]).flatMap((model) => textAt(model, "name") ?? []),
  );
  const prefix = qualifiedModelName(namespace, "");
  const short = names.map((name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name));
  if (short.length > 0) return [...new Set(short)].sort();
  return modelNames(textAt(service, "metadata", "name") ?? "", objectAt(service, "spec") ?? {});
}

/** Whether every workload of a service has a replica that takes requests. */
function isRoutable(service: JsonObject): boolean {
  const workloads = objectAt(service, "status", "workloads");
  if (conditionOf(at(service, "status", "conditions"), "RouterReady")?.status !== "True") return false;
  if (objectAt(workloads, "primary") === undefined) return false;
  return ["primary", "prefill", "scheduler"].every((part) => {
    const workload = objectAt(workloads, part);
    return workload === undefined || (integerOf(workload["readyReplicas"]) ?? 0) > 0;
  });
}

const serviceBackend = (namespace: string, name: string): Backend => ({
  group: "",
  kind: "Service",
  name: childNames(namespace, name).workloadService,
  port: SERVING_PORT,
});

function ownBackend(pass: Pass): Backend {
  const pool = { kind: "InferencePool", port: SERVING_PORT } as const;
  const referenced = referencedPool(pass);
  if (referenced !== undefined)
    return { ...pool, group: POOL_GROUPS[referencedVersion(pass, referenced)], name: referenced };
  return runsScheduler(pass)
    ? { ...pool, group: POOL_GROUPS[routedPool(pass)], name: pass.names.pool }
    : serviceBackend(pass.namespace, pass.name);
}

function backendOf(pass: Pass, service: JsonObject): Backend {
  const name = textAt(service, "metadata", "name") ?? "";
  const referenced = textAt(service, "spec", "router", "scheduler", "pool", "ref", "name");
  const used = textAt(service, "status", "router", "scheduler", "inferencePool", "name");
  const pool = referenced ?? used;
  if (pool === undefined) return serviceBackend(pass.namespace, name);
  const version = referencedVersion(pass, pool);
  return { group: POOL_GROUPS[version], kind: "InferencePool", name: pool, port: SERVING_PORT };
}

const sameList = (left: readonly string[], right: readonly string[]): boolean =>
  left.length === right.length && left.every((item, index) => item === right[index]);

function memberOf(pass: Pass, service: JsonObject, own: readonly string[]): Member {
  const name = textAt(service, "metadata", "name") ?? "";
  const isSelf = name === pass.name;
  const stopped = isStopped(service as unknown as KubeObject);
  const models = isSelf ? own : servedModels(service);
  const main = textAt(pass.spec, "model", "name") ?? pass.name;
  return {
    name,
    weight: integerOf(routeOf(isSelf ? pass.spec : service["spec"])?.["weight"]) ?? 0,
    stopped,
    routable: !stopped && isRoutable(service),
    // A stopped service no longer tells its adapters: its model is enough to know it by.
    matching: stopped ? models.includes(main) : sameList(models, own),
    models,
    backend: isSelf ? ownBackend(pass) : backendOf(pass, service),
  };
}

/** Services of the namespace that are in a group by their own spec, terminating ones left out. */
export function groupServices(pass: Pick<Pass, "cluster" | "namespace">, group: string): readonly JsonObject[] {
  return pass.cluster
    .list(KINDS.LLMInferenceService, pass.namespace)
    .filter((service) => service.metadata.deletionTimestamp === undefined)
    .map((service) => asJson(service) ?? {})
    .filter((service) => groupName(service["spec"]) === group);
}

/** The routing group of the service; undefined where it is in none. Members that are neither ready nor stopped are left out. */
export function routingGroup(pass: Pass): RoutingGroup | undefined {
  const name = groupName(pass.spec);
  if (name === undefined) return undefined;
  const own = modelNames(pass.name, pass.spec);
  const others = groupServices(pass, name).filter((service) => textAt(service, "metadata", "name") !== pass.name);
  const self = asJson(pass.cluster.find(KINDS.LLMInferenceService, { namespace: pass.namespace, name: pass.name }));
  const members = [self ?? { metadata: { name: pass.name }, spec: pass.spec }, ...others]
    .map((service) => memberOf(pass, service, own))
    .filter((member) => member.name === pass.name || member.stopped || member.routable);
  return { name, members: members.sort((left, right) => (left.name < right.name ? -1 : 1)) };
}

/** The members between which requests are divided: those that run; where none does, the service itself. */
export function sharingMembers(group: RoutingGroup, self: string): readonly Member[] {
  const matching = group.members.filter((member) => member.matching && !member.stopped);
  const running = matching.filter((member) => member.routable);
  return running.length > 0 ? running : matching.filter((member) => member.name === self);
}

/** Whether a rule is of this service alone: one of its paths is the service's own. */
function isOwnRule(rule: JsonObject, prefix: string): boolean {
  return objectsOf(rule["matches"]).some((match) => {
    const path = textAt(match, "path", "value") ?? "";
    return path === prefix || path.startsWith(`${prefix}/`);
  });
}

/** The rules with requests that any member may answer divided between the members, by weight. */
export function withGroupBackends(pass: Pass, group: RoutingGroup, rules: readonly JsonObject[]): JsonObject[] {
  const ours = new Set([pass.names.pool, pass.names.workloadService, referencedPool(pass)]);
  const shares = sharingMembers(group, pass.name).map(({ backend, weight }) => ({ ...backend, weight }));
  return rules.map((rule) => {
    const shared = objectsOf(rule["backendRefs"]).some((ref) => ours.has(textAt(ref, "name")));
    const divided = shared && !isOwnRule(rule, `/${pass.namespace}/${pass.name}`);
    return divided ? { ...rule, backendRefs: shares } : rule;
  });
}

/** `status.router.group`: the members that serve the same models. */
export function groupStatus(group: RoutingGroup): JsonObject {
  return {
    name: group.name,
    members: group.members
      .filter((member) => member.matching)
      .map(({ name, weight, stopped, backend }) =>
        compact({ name, weight, stopped: stopped ? true : undefined, backendRef: { ...backend } }),
      ),
  };
}

/** Members that serve other models than the service: requests for a model must not reach them. */
export function divergentMembers(group: RoutingGroup): readonly Member[] {
  return group.members.filter((member) => !member.matching);
}

/** Other members' managed routes that still send requests to this service: it must not go before they let go of it. */
export function routesToMember(
  pass: Pick<Pass, "cluster" | "namespace" | "name" | "names">,
  spec: Json | undefined,
): readonly string[] {
  const group = groupName(spec);
  if (group === undefined) return [];
  const ours = new Set([pass.names.pool, pass.names.workloadService]);
  return groupServices(pass, group).flatMap((service) => {
    const member = textAt(service, "metadata", "name") ?? "";
    const name = childNames(pass.namespace, member).route;
    const route = asJson(pass.cluster.find(KINDS.HTTPRoute, { namespace: pass.namespace, name }));
    const refs = objectsOf(at(route, "spec", "rules")).flatMap((rule) => objectsOf(rule["backendRefs"]));
    return member !== pass.name && refs.some((ref) => ours.has(textAt(ref, "name") ?? "")) ? [name] : [];
  });
}
