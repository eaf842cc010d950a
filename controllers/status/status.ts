import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { at } from "../../crds/json.ts";
import type { AppliedConfig } from "../composition/types.ts";
import { compact, integerOf } from "../json-edit.ts";
import type { StringMap } from "../labels.ts";
import { type Pass, ownedChild } from "../llminferenceservice/pass.ts";
import { GATEWAY_GROUP, type RouteView, gatewayParents } from "../router/gateway.ts";
import { groupStatus as routingGroupStatus, routingGroup } from "../router/group.ts";
import { pickerServiceName, poolName, runsScheduler, usesScheduler } from "../router/pool-reference.ts";
import { POOL_GROUPS, routedPool } from "../router/pool-version.ts";
import type { ServiceUrl } from "../router/urls.ts";
import { isMultiNode, workloadPart } from "../workload/parts.ts";
import { primaryUrl, routedAddresses, serviceAddresses } from "./addresses.ts";
import type { Condition } from "./conditions.ts";

function deploymentStatus(pass: Pass, name: string): JsonObject {
  const live = ownedChild(pass, KINDS.Deployment, name);
  const readyReplicas = integerOf(at(live, "status", "availableReplicas")) ?? 0;
  return { apiGroup: "apps", kind: "Deployment", name, readyReplicas };
}

function groupStatus(pass: Pass, name: string): JsonObject {
  const live = ownedChild(pass, KINDS.LeaderWorkerSet, name);
  const readyReplicas = integerOf(at(live, "status", "readyReplicas")) ?? 0;
  return { apiGroup: "leaderworkerset.x-k8s.io", kind: "LeaderWorkerSet", name, readyReplicas };
}

function partStatus(pass: Pass, name: "main" | "prefill"): JsonObject | undefined {
  const part = workloadPart(pass, name);
  if (part === undefined) return undefined;
  return isMultiNode(part) ? groupStatus(pass, part.leaderWorkerSet) : deploymentStatus(pass, part.deployment);
}

/** `status.workloads`: the objects that run the service, with how many replicas of each take requests. */
export function workloadsStatus(pass: Pass): JsonObject {
  return compact({
    primary: partStatus(pass, "main"),
    prefill: partStatus(pass, "prefill"),
    service: { kind: "Service", name: pass.names.workloadService },
    scheduler: runsScheduler(pass) ? deploymentStatus(pass, pass.names.scheduler) : undefined,
  });
}

interface UsedGateway {
  readonly namespace: string;
  readonly name: string;
  readonly listeners: Set<string>;
  readonly routes: Set<string>;
}

function gatewaysOf(routes: readonly RouteView[]): readonly UsedGateway[] {
  const used = new Map<string, UsedGateway>();
  for (const route of routes)
    for (const { namespace, name, sectionName } of gatewayParents(route)) {
      const key = `${namespace}/${name}`;
      const gateway = used.get(key) ?? { namespace, name, listeners: new Set<string>(), routes: new Set<string>() };
      used.set(key, gateway);
      gateway.routes.add(route.name);
      if (sectionName !== undefined) gateway.listeners.add(sectionName);
    }
  return [...used].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, gateway]) => gateway);
}

function gatewayStatus(pass: Pass, { namespace, name, listeners, routes }: UsedGateway): JsonObject {
  return compact({
    group: GATEWAY_GROUP,
    kind: "Gateway",
    name,
    namespace,
    listeners: listeners.size === 0 ? undefined : [...listeners].sort(),
    httpRoutes: [...routes].sort().map((route) => ({
      group: GATEWAY_GROUP,
      kind: "HTTPRoute",
      name: route,
      namespace: pass.namespace,
    })),
  });
}

function schedulerReference(pass: Pass): JsonObject | undefined {
  if (!usesScheduler(pass)) return undefined;
  const picker = pickerServiceName(pass);
  return compact({
    inferencePool: { group: POOL_GROUPS[routedPool(pass)], kind: "InferencePool", name: poolName(pass) },
    service: picker === undefined ? undefined : { group: "", kind: "Service", name: picker },
  });
}

/** `status.router`: gateways and routes through which the service is reached, and its pool and picker. */
export function routerStatus(pass: Pass, routes: readonly RouteView[]): JsonObject | undefined {
  const gateways = gatewaysOf(routes).map((gateway) => gatewayStatus(pass, gateway));
  const group = routingGroup(pass);
  const router = compact({
    gateways: gateways.length === 0 ? undefined : gateways,
    group: group && routingGroupStatus(group),
    scheduler: schedulerReference(pass),
  });
  return Object.keys(router).length === 0 ? undefined : router;
}

/** What a pass found out beyond conditions. */
export interface StatusFacts {
  readonly routes: readonly RouteView[];
  /** Addresses of the routes; undefined for a service without a route. */
  readonly urls: readonly ServiceUrl[] | undefined;
}

/** The parts of the status that a finished pass replaces as a whole. */
export function reachedStatus(pass: Pass, facts: StatusFacts): JsonObject {
  const { urls, routes } = facts;
  return compact({
    url: urls === undefined ? undefined : primaryUrl(pass, urls),
    addresses: urls === undefined ? serviceAddresses(pass) : routedAddresses(pass, urls),
    router: routerStatus(pass, routes),
    workloads: workloadsStatus(pass),
  });
}

/** Parts of a status that every pass writes. */
export interface StatusFrame {
  readonly generation: number | undefined;
  readonly annotations: StringMap;
  readonly appliedConfigs: readonly AppliedConfig[];
  readonly conditions: readonly Condition[];
}

/** The complete status: the frame around what the pass found, or around what earlier passes found. */
export function assembleStatus(frame: StatusFrame, found: JsonObject): JsonObject {
  return compact({
    ...found,
    observedGeneration: frame.generation,
    annotations: Object.keys(frame.annotations).length === 0 ? undefined : { ...frame.annotations },
    appliedConfigs:
      frame.appliedConfigs.length === 0
        ? undefined
        : frame.appliedConfigs.map(({ name, namespace, source }) => ({ name, namespace, source })),
    conditions: frame.conditions.map((condition) => compact({ ...condition })),
  });
}

/** The parts of an earlier status that a pass which did not reach the children keeps. */
export function earlierStatus(status: JsonObject | undefined): JsonObject {
  const { url, addresses, router, workloads } = status ?? {};
  return compact({ url, addresses, router, workloads });
}
