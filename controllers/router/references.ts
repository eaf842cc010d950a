import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { type Pass, asJson } from "../llminferenceservice/pass.ts";
import type { Marks } from "../status/conditions.ts";
import { notReady } from "../status/conditions.ts";
import { explain } from "../status/faults.ts";
import { type RouteView, findGateway, gatewayParents, gatewayRefs, routeRefs } from "./gateway.ts";

/** The routes that the service refers to, as they are, and which of them do not exist. */
export function referencedRoutes(pass: Pass): {
  readonly found: readonly RouteView[];
  readonly missing: readonly string[];
} {
  const routes = routeRefs(pass).map((name) => {
    const live = asJson(pass.cluster.find(KINDS.HTTPRoute, { namespace: pass.namespace, name }));
    return { name, spec: live === undefined ? undefined : ((live["spec"] ?? {}) as JsonObject) };
  });
  return {
    found: routes.flatMap(({ name, spec }) => (spec === undefined ? [] : [{ namespace: pass.namespace, name, spec }])),
    missing: routes.flatMap(({ name, spec }) => (spec === undefined ? [name] : [])),
  };
}

function missingGateways(pass: Pass, route: RouteView, prefix: string): readonly string[] {
  return gatewayParents(route)
    .filter((ref) => findGateway(pass, ref) === undefined)
    .map((ref) => `${prefix} references non-existent Gateway ${ref.namespace}/${ref.name}`);
}

function routeProblems(pass: Pass, managed: RouteView | undefined): readonly string[] {
  const { found, missing } = referencedRoutes(pass);
  return [
    ...missing.map((name) => `HTTPRoute ${pass.namespace}/${name} does not exist`),
    ...(managed === undefined ? [] : missingGateways(pass, managed, "Managed HTTPRoute")),
    ...found.flatMap((route) => {
      const what = `HTTPRoute target validation failed: HTTPRoute ${route.namespace}/${route.name}`;
      if (gatewayParents(route).length === 0) return [`${what} has no parent gateway references`];
      return missingGateways(pass, route, what);
    }),
  ];
}

/** What is wrong with the Gateways and routes that the service refers to; no marks where nothing is. */
export function invalidReferences(pass: Pass, managed: RouteView | undefined): Marks {
  if (managed !== undefined && !pass.cluster.serves(KINDS.HTTPRoute))
    return {
      HTTPRoutesReady: notReady(
        "GatewayAPINotInstalled",
        "spec.router.route: the cluster serves no HTTPRoute (gateway.networking.k8s.io/v1): install the CRDs of the Gateway API",
      ),
    };
  const gateways = gatewayRefs(pass)
    .filter((ref) => findGateway(pass, ref) === undefined)
    .map((ref) => `Gateway ${ref.namespace}/${ref.name} does not exist`);
  if (gateways.length > 0)
    return { GatewaysReady: notReady("RefsInvalid", explain("gateway-missing", gateways.join("; "))) };
  const routes = routeProblems(pass, managed);
  const fault = referencedRoutes(pass).missing.length > 0 ? "route-missing" : "gateway-missing";
  return routes.length > 0 ? { HTTPRoutesReady: notReady("RefsInvalid", explain(fault, routes.join("; "))) } : {};
}
