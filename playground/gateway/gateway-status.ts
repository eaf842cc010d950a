import { KINDS, groupOf } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type ConditionState, stampConditions } from "../conditions.ts";
import { type Fields, field, recordsAt, sameJson, textAt } from "../fields.ts";
import type { Attached, Attachment } from "./attachment.ts";
import { type Backend, type BackendSources, readPool, resolveBackend } from "./backends.ts";

/** Name under which the playground's gateway signs (`GatewayClass.spec.controllerName`). */
export const CONTROLLER_NAME = "serving.kserve.io/playground-gateway";

const GATEWAY_GROUP = groupOf(KINDS.Gateway.apiVersion);

type Verdict = Pick<ConditionState, "status" | "reason" | "message">;

function condition(type: string, object: KubeObject, verdict: Verdict): ConditionState {
  return { type, ...verdict, observedGeneration: object.metadata.generation };
}

const yes = (reason: string): Verdict => ({ status: "True", reason, message: "" });
const no = (reason: string, message: string): Verdict => ({ status: "False", reason, message });

/** Status of the class: accepted. */
export function gatewayClassStatus(object: KubeObject, now: string): Fields {
  const conditions = [condition("Accepted", object, yes("Accepted"))];
  return { conditions: stampConditions(conditions, field(object, "status", "conditions"), now) };
}

/** Status of a Gateway; `failures` says by port why a listener cannot serve. */
export function gatewayStatus(
  gateway: KubeObject,
  attached: readonly Attached[],
  address: string,
  failures: ReadonlyMap<number, string>,
  now: string,
): Fields {
  const listeners = recordsAt(gateway, "spec", "listeners").map((listener) =>
    listenerStatus(gateway, listener, attached, failures, now),
  );
  const programmed = listeners.some((listener) => isTrue(listener, "Programmed"));
  const conditions = [
    condition("Accepted", gateway, yes("Accepted")),
    condition("Programmed", gateway, programmed ? yes("Programmed") : no("Invalid", "no listener can serve")),
  ];
  return {
    addresses: [{ type: "IPAddress", value: address }],
    conditions: stampConditions(conditions, field(gateway, "status", "conditions"), now),
    listeners,
  };
}

function listenerStatus(
  gateway: KubeObject,
  listener: Fields,
  attached: readonly Attached[],
  failures: ReadonlyMap<number, string>,
  now: string,
): Fields {
  const name = textAt(listener, "name");
  const failure = failures.get(Number(listener["port"]));
  const takes = ({ attachments }: Attached) =>
    attachments.some((one) => one.gateway === gateway && one.listeners.some((taker) => taker.listener === listener));
  const before = recordsAt(gateway, "status", "listeners").find((one) => one["name"] === name);
  const conditions = [
    condition("Accepted", gateway, failure === undefined ? yes("Accepted") : no("PortUnavailable", failure)),
    condition("Programmed", gateway, failure === undefined ? yes("Programmed") : no("Invalid", failure)),
    condition("ResolvedRefs", gateway, yes("ResolvedRefs")),
    condition("Conflicted", gateway, no("NoConflicts", "")),
  ];
  return {
    name,
    supportedKinds: [{ group: GATEWAY_GROUP, kind: "HTTPRoute" }],
    attachedRoutes: attached.filter(takes).length,
    conditions: stampConditions(conditions, before?.["conditions"], now),
  };
}

function isTrue(status: Fields, type: string): boolean {
  return recordsAt(status, "conditions").some((one) => one["type"] === type && one["status"] === "True");
}

/** Status of a route: our entry for each parent of ours, and the entries of other controllers as they are. */
export function routeStatus({ route, attachments }: Attached, sources: BackendSources, now: string): Fields {
  const before = recordsAt(route, "status", "parents");
  const others = before.filter((parent) => parent["controllerName"] !== CONTROLLER_NAME);
  const resolved = resolution(route, sources);
  const own = attachments.map((attachment) => {
    const known = before.find(
      (parent) => parent["controllerName"] === CONTROLLER_NAME && sameJson(parent["parentRef"], attachment.parentRef),
    );
    const conditions = [
      condition("Accepted", route, acceptance(attachment)),
      condition("ResolvedRefs", route, resolved),
    ];
    return {
      parentRef: attachment.parentRef,
      controllerName: CONTROLLER_NAME,
      conditions: stampConditions(conditions, known?.["conditions"], now),
    };
  });
  return { parents: [...others, ...own] };
}

function acceptance({ refusal }: Attachment): Verdict {
  return refusal === undefined ? yes("Accepted") : no(refusal, "no listener of the Gateway takes the route");
}

/** The first backend that leads nowhere decides. */
function resolution(route: KubeObject, sources: BackendSources): Verdict {
  for (const rule of recordsAt(route, "spec", "rules"))
    for (const reference of recordsAt(rule, "backendRefs")) {
      const backend = resolveBackend(reference, route.metadata.namespace ?? "", sources);
      if (backend.kind === "unresolved") return no(backend.reason, backend.message);
    }
  return yes("ResolvedRefs");
}

/** Gateways that send requests to a pool. */
export function gatewaysOfPool(pool: KubeObject, attached: readonly Attached[], sources: BackendSources): KubeObject[] {
  const leadsHere = (backend: Backend) => backend.kind === "pool" && backend.pool.object === pool;
  const found = attached.filter(({ route }) =>
    recordsAt(route, "spec", "rules")
      .flatMap((rule) => recordsAt(rule, "backendRefs"))
      .some((reference) => leadsHere(resolveBackend(reference, route.metadata.namespace ?? "", sources))),
  );
  const gateways = found.flatMap(({ attachments }) =>
    attachments.filter((one) => one.refusal === undefined).map((one) => one.gateway),
  );
  return [...new Set(gateways)];
}

/** Status of a pool: one parent for each Gateway that uses it. The old kind calls the list `parent`. */
export function poolStatus(
  pool: KubeObject,
  gateways: readonly KubeObject[],
  sources: BackendSources,
  now: string,
): Fields {
  const list = pool.apiVersion === KINDS.InferencePool.apiVersion ? "parents" : "parent";
  const before = recordsAt(pool, "status", list);
  const ours = (parent: Fields) => parent["controllerName"] === CONTROLLER_NAME;
  const isPlaceholder = (parent: Fields) => textAt(parent, "parentRef", "kind") === "Status";
  const picker = readPool(pool).picker.name;
  const exists = sources.services.get({ namespace: pool.metadata.namespace, name: picker }) !== undefined;
  const own = gateways.map((gateway) => {
    const { namespace, name } = gateway.metadata;
    const parentRef = { group: GATEWAY_GROUP, kind: "Gateway", namespace, name };
    const known = before.find((parent) => ours(parent) && sameJson(parent["parentRef"], parentRef));
    const resolved = exists ? yes("ResolvedRefs") : no("InvalidExtensionRef", `Service "${picker}" not found`);
    const conditions = [condition("Accepted", pool, yes("Accepted")), condition("ResolvedRefs", pool, resolved)];
    return {
      parentRef,
      controllerName: CONTROLLER_NAME,
      conditions: stampConditions(conditions, known?.["conditions"], now),
    };
  });
  const others = before.filter((parent) => !ours(parent) && !isPlaceholder(parent));
  return { [list]: [...others, ...own] };
}
