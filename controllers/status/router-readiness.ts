import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { at, listAt, objectAt, textAt } from "../../crds/json.ts";
import { integerOf, objectsOf } from "../json-edit.ts";
import { type Pass, asJson, ownedChild } from "../llminferenceservice/pass.ts";
import {
  type ParentRef,
  type RouteView,
  findGateway,
  gatewayParents,
  gatewayRefs,
  parseParentRef,
  routeRefs,
} from "../router/gateway.ts";
import { poolName, referencedPool, usesScheduler } from "../router/pool-reference.ts";
import { GATEWAY_REMEDIES, explain } from "./faults.ts";
import { ABSENT, type Condition, type Mark, type Marks, TRUE, conditionOf, notReady, unknown } from "./conditions.ts";

interface NamedGateway {
  readonly namespace: string;
  readonly name: string;
}

function uniqueGateways(gateways: readonly NamedGateway[]): readonly NamedGateway[] {
  return [...new Map(gateways.map(({ namespace, name }) => [`${namespace}/${name}`, { namespace, name }])).values()];
}

/** Gateways of the routes in use; without routes, those the service refers to. */
export function gatewaysInUse(pass: Pass, routes: readonly RouteView[]): readonly NamedGateway[] {
  const used = uniqueGateways(routes.flatMap(gatewayParents));
  return used.length > 0 ? used : uniqueGateways(gatewayRefs(pass));
}

function gatewaysMark(pass: Pass, routes: readonly RouteView[]): Mark {
  if (gatewayRefs(pass).length === 0) return ABSENT;
  const waiting = gatewaysInUse(pass, routes).filter(
    (ref) => conditionOf(at(findGateway(pass, ref), "status", "conditions"), "Programmed")?.status !== "True",
  );
  if (waiting.length === 0) return TRUE;
  const names = waiting.map(({ namespace, name }) => `${namespace}/${name}`).join(" ");
  const why = waiting.flatMap((ref) => gatewayProblem(findGateway(pass, ref)));
  const text = `The following Gateways are not ready: [${names}]`;
  return notReady(
    "GatewaysNotReady",
    why[0] === undefined ? explain("gateway-not-programmed", text) : `${text}: ${why[0]}`,
  );
}

/** The first condition of a Gateway or of its listeners that says what it lacks, with a remedy. */
function gatewayProblem(gateway: JsonObject | undefined): readonly string[] {
  const lists = [
    at(gateway, "status", "conditions"),
    ...listAt(gateway, "status", "listeners").map((l) => at(l, "conditions")),
  ];
  return lists.flatMap((list) =>
    objectsOf(list)
      .filter((condition) => condition["status"] === "False" && GATEWAY_REMEDIES[textAt(condition, "reason") ?? ""])
      .map((condition) =>
        describe(textAt(condition, "type") ?? "", conditionOf([condition], textAt(condition, "type") ?? "")),
      ),
  );
}

/** Whether a condition speaks of the object's present generation; one that names none is taken at its word. */
function isCurrent(conditions: Json | undefined, type: string, generation: number | undefined): boolean {
  const entry = objectsOf(conditions).find((condition) => condition["type"] === type);
  const observed = integerOf(entry?.["observedGeneration"]) ?? 0;
  return observed <= 0 || generation === undefined || observed >= generation;
}

const sameParent = (left: ParentRef, right: ParentRef): boolean =>
  left.group === right.group &&
  left.kind === right.kind &&
  left.namespace === right.namespace &&
  left.name === right.name &&
  left.sectionName === right.sectionName &&
  left.port === right.port;

function parentProblem(live: JsonObject, wanted: ParentRef, namespace: string): string | undefined {
  const generation = integerOf(at(live, "metadata", "generation"));
  const entries = listAt(live, "status", "parents").filter(
    (entry) =>
      sameParent(parseParentRef(at(entry, "parentRef"), namespace), wanted) &&
      conditionOf(at(entry, "conditions"), "Accepted") !== undefined,
  );
  const gateway = `${wanted.namespace}/${wanted.name}`;
  if (entries.length === 0) return `no controller has answered for Gateway ${gateway} yet`;
  for (const entry of entries)
    for (const type of ["Accepted", "ResolvedRefs"]) {
      const conditions = at(entry, "conditions");
      const condition = conditionOf(conditions, type);
      if (condition?.status !== "True") return describe(type, condition);
      if (!isCurrent(conditions, type, generation)) return `${type} of Gateway ${gateway} is of an earlier generation`;
    }
  return undefined;
}

function describe(type: string, condition: Condition | undefined): string {
  if (condition === undefined) return `${type} is not reported`;
  const remedy = GATEWAY_REMEDIES[condition.reason ?? ""];
  const text = `${type}=${condition.status} (reason ${condition.reason ?? "unset"}, message ${condition.message ?? ""})`;
  return remedy === undefined ? text : `${text}: ${remedy}`;
}

function routeProblem(live: JsonObject): string | undefined {
  const namespace = textAt(live, "metadata", "namespace") ?? "";
  const parents = objectsOf(at(live, "spec", "parentRefs")).map((ref) => parseParentRef(ref, namespace));
  if (parents.length === 0) return "it has no parentRefs";
  return parents.map((parent) => parentProblem(live, parent, namespace)).find((problem) => problem !== undefined);
}

function liveRoutes(pass: Pass, managed: boolean): readonly JsonObject[] {
  const referenced = routeRefs(pass).map((name) =>
    asJson(pass.cluster.find(KINDS.HTTPRoute, { namespace: pass.namespace, name })),
  );
  const own = managed ? [ownedChild(pass, KINDS.HTTPRoute, pass.names.route)] : [];
  return [...referenced, ...own].filter((route) => route !== undefined);
}

function routesMark(pass: Pass, managed: boolean): Mark {
  if (objectAt(pass.spec, "router", "route", "http") === undefined) return ABSENT;
  const routes = liveRoutes(pass, managed);
  if (routes.length === 0) return unknown("HTTPRouteNotObserved", "the HTTPRoute has not been observed yet");
  const problems = routes.flatMap((route) => {
    const problem = routeProblem(route);
    return problem === undefined
      ? []
      : [`${textAt(route, "metadata", "namespace")}/${textAt(route, "metadata", "name")}: ${problem}`];
  });
  if (problems.length === 0) return TRUE;
  return notReady("HTTPRoutesNotReady", `The following HTTPRoutes are not ready: [${problems.join(", ")}]`);
}

interface PoolParent extends NamedGateway {
  readonly conditions: Json | undefined;
}

/** Acceptances of a pool by gateways. The older API's entry of kind `Status` stands for none. */
function poolParents(pool: JsonObject): readonly PoolParent[] {
  const namespace = textAt(pool, "metadata", "namespace") ?? "";
  const entries = [...listAt(pool, "status", "parents"), ...listAt(pool, "status", "parent")];
  return entries
    .filter((entry) => textAt(entry, "parentRef", "kind") !== "Status")
    .map((entry) => {
      const ref = parseParentRef(at(entry, "parentRef"), namespace);
      return { namespace: ref.namespace, name: ref.name, conditions: at(entry, "conditions") };
    });
}

function acceptance(pool: JsonObject, parents: readonly PoolParent[]): Mark {
  const generation = integerOf(at(pool, "metadata", "generation"));
  for (const parent of parents) {
    const condition = conditionOf(parent.conditions, "Accepted");
    if (condition?.status !== "True") return notReady("InferencePoolNotReady", describe("Accepted", condition));
    if (!isCurrent(parent.conditions, "Accepted", generation))
      return notReady(
        "InferencePoolNotReady",
        `Accepted of Gateway ${parent.namespace}/${parent.name} is of an earlier generation`,
      );
  }
  return TRUE;
}

/** Whether a gateway has resolved the backends of a live route: some never write the status of the pool itself. */
function resolvesRoute(routes: readonly JsonObject[], gateway: NamedGateway): boolean {
  return routes.some((route) => {
    const namespace = textAt(route, "metadata", "namespace") ?? "";
    return listAt(route, "status", "parents").some((entry) => {
      const ref = parseParentRef(at(entry, "parentRef"), namespace);
      const resolved = conditionOf(at(entry, "conditions"), "ResolvedRefs")?.status === "True";
      return resolved && ref.namespace === gateway.namespace && ref.name === gateway.name;
    });
  });
}

function poolMark(pool: JsonObject, gateways: readonly NamedGateway[], routes: readonly JsonObject[]): Mark {
  const parents = poolParents(pool);
  const name = `Inference Pool ${textAt(pool, "metadata", "namespace")}/${textAt(pool, "metadata", "name")}`;
  if (gateways.length === 0) return parents.length === 0 ? ABSENT : acceptance(pool, parents);
  const of = (gateway: NamedGateway): readonly PoolParent[] =>
    parents.filter((parent) => parent.namespace === gateway.namespace && parent.name === gateway.name);
  const unanswered = gateways.filter((gateway) => of(gateway).length === 0 && !resolvesRoute(routes, gateway));
  if (unanswered.length === gateways.length)
    return notReady(
      "WaitingForGateway",
      explain("pool-unanswered", `${name} exists but no Gateway controller has accepted it yet`),
    );
  const [first] = unanswered;
  if (first !== undefined)
    return notReady(
      "WaitingForGateway",
      explain("pool-unanswered", `${name} is not yet accepted by gateway ${first.namespace}/${first.name}`),
    );
  return acceptance(pool, gateways.flatMap(of));
}

function poolsMark(pass: Pass, routes: readonly RouteView[], managed: boolean): Mark {
  if (!usesScheduler(pass)) return ABSENT;
  const key = { namespace: pass.namespace, name: poolName(pass) };
  const pools = [KINDS.InferencePool, KINDS.InferencePoolV1Alpha2]
    .map((kind) => asJson(pass.cluster.find(kind, key)))
    .filter((pool) => pool !== undefined);
  if (pools.length === 0) {
    const message = `InferencePool ${key.namespace}/${key.name} not found (checked v1 and v1alpha2)`;
    return referencedPool(pass) === undefined
      ? unknown("InferencePoolNotObserved", message)
      : notReady("InferencePoolFetchError", explain("pool-missing", message));
  }
  const live = liveRoutes(pass, managed);
  const marks = pools.map((pool) => poolMark(pool, gatewaysInUse(pass, routes), live));
  return marks.find((mark) => mark.status === "True") ?? marks[0] ?? ABSENT;
}

/** Readiness of gateways, routes and pool. `routes` are those in use; `managed` says whether one of them is the operator's. */
export function routerMarks(pass: Pass, routes: readonly RouteView[], managed: boolean): Marks {
  return {
    GatewaysReady: gatewaysMark(pass, routes),
    HTTPRoutesReady: routesMark(pass, managed),
    InferencePoolReady: poolsMark(pass, routes, managed),
  };
}
