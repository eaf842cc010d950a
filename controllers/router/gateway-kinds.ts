import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { objectAt, textAt } from "../../crds/json.ts";
import { type Pass, asJson } from "../llminferenceservice/pass.ts";
import { type RouteView, findGateway, gatewayParents } from "./gateway.ts";
import { referencedRoutes } from "./references.ts";

/** Controllers of gateways that are Istio's: they take the transport to a backend from DestinationRules alone. */
const ISTIO_CONTROLLERS = /^(istio\.io|openshift\.io)\/gateway-controller/;
function controllerOf(pass: Pass, gateway: JsonObject | undefined): string {
  const name = textAt(gateway, "spec", "gatewayClassName") ?? "";
  const found = asJson(pass.cluster.find(KINDS.GatewayClass, { name }));
  return textAt(found, "spec", "controllerName") ?? "";
}

function routesOf(pass: Pass): readonly RouteView[] {
  const spec = objectAt(pass.spec, "router", "route", "http", "spec");
  const own = spec === undefined ? [] : [{ namespace: pass.namespace, name: pass.names.route, spec }];
  return [...referencedRoutes(pass).found, ...own];
}

/** Controllers of the Gateways of the service's routes; empty for one whose class is not known. */
function controllers(pass: Pass): readonly string[] {
  return routesOf(pass).flatMap((route) =>
    gatewayParents(route).map((ref) => controllerOf(pass, findGateway(pass, ref))),
  );
}

/** Whether a Gateway of the service is Istio's. */
export function usesIstio(pass: Pass): boolean {
  return controllers(pass).some((controller) => ISTIO_CONTROLLERS.test(controller));
}

/** Whether a Gateway of the service takes the transport to a backend from policies of the Gateway API. */
export function usesBackendPolicies(pass: Pass): boolean {
  return controllers(pass).some((controller) => !ISTIO_CONTROLLERS.test(controller));
}
