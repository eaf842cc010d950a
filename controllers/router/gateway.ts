import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { at, listAt, textAt } from "../../crds/json.ts";
import { objectsOf } from "../json-edit.ts";
import { type Pass, asJson } from "../llminferenceservice/pass.ts";

/** API group of Gateways and HTTPRoutes. */
export const GATEWAY_GROUP = "gateway.networking.k8s.io";

/** A reference from a route to one of its parents, with the defaults of the Gateway API filled in. */
export interface ParentRef {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly sectionName: string | undefined;
  readonly port: number | undefined;
}

/** A route as far as addresses and readiness read it: the expected managed one, or one the service refers to. */
export interface RouteView {
  readonly namespace: string;
  readonly name: string;
  readonly spec: JsonObject;
}

/** Reads a parent reference of a route of that namespace. */
export function parseParentRef(ref: Json | undefined, routeNamespace: string): ParentRef {
  const port = at(ref, "port");
  return {
    group: textAt(ref, "group") ?? GATEWAY_GROUP,
    kind: textAt(ref, "kind") ?? "Gateway",
    namespace: textAt(ref, "namespace") ?? routeNamespace,
    name: textAt(ref, "name") ?? "",
    sectionName: textAt(ref, "sectionName"),
    port: typeof port === "number" ? port : undefined,
  };
}

/** The Gateways among a route's parents, in order; other kinds of parents have no addresses. */
export function gatewayParents(route: RouteView): readonly ParentRef[] {
  return objectsOf(route.spec["parentRefs"])
    .map((ref) => parseParentRef(ref, route.namespace))
    .filter((ref) => ref.kind === "Gateway" && ref.group === GATEWAY_GROUP);
}

/** The Gateway a parent reference names. */
export function findGateway(
  pass: Pass,
  ref: { readonly namespace: string; readonly name: string },
): JsonObject | undefined {
  return asJson(pass.cluster.find(KINDS.Gateway, { namespace: ref.namespace, name: ref.name }));
}

/** Gateways that `spec.router.gateway.refs` names. */
export function gatewayRefs(pass: Pass): readonly { readonly namespace: string; readonly name: string }[] {
  return objectsOf(listAt(pass.spec, "router", "gateway", "refs") as Json[]).map((ref) => ({
    namespace: textAt(ref, "namespace") ?? pass.namespace,
    name: textAt(ref, "name") ?? "",
  }));
}

/** Names of the HTTPRoutes that `spec.router.route.http.refs` names; they lie in the service's namespace. */
export function routeRefs(pass: Pass): readonly string[] {
  return objectsOf(listAt(pass.spec, "router", "route", "http", "refs") as Json[]).flatMap(
    (ref) => textAt(ref, "name") ?? [],
  );
}
