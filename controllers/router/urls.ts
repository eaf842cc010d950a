import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, textAt } from "../../crds/json.ts";
import { integerOf, objectsOf, stringsOf } from "../json-edit.ts";
import { type Pass, PassError, asJson } from "../llminferenceservice/pass.ts";
import { type ParentRef, type RouteView, findGateway, gatewayParents } from "./gateway.ts";
import { formatUrl } from "./hosts.ts";
import { basePaths } from "./paths.ts";

/** Reason of the condition when a route's addresses cannot be found out. */
export const ROUTE_ERROR = "HTTPRouteReconcileError";

/** One address of a service. */
export interface ServiceUrl {
  readonly url: string;
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly gateway: { readonly namespace: string; readonly name: string };
}

interface Listener {
  readonly name: string;
  readonly protocol: string;
  readonly scheme: string;
  readonly port: number | undefined;
  readonly hostname: string | undefined;
}

const SCHEMES: Readonly<Record<string, string>> = { HTTP: "http", HTTPS: "https", TLS: "https" };

const GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name";
const ENVOY_OWNER_LABEL = "gateway.envoyproxy.io/owning-gateway-name";
const ENVOY_OWNER_NAMESPACE_LABEL = "gateway.envoyproxy.io/owning-gateway-namespace";

const fail = (message: string): never => {
  throw new PassError(ROUTE_ERROR, message);
};

function parseListener(listener: JsonObject): Listener {
  const protocol = textAt(listener, "protocol") ?? "";
  return {
    name: textAt(listener, "name") ?? "",
    protocol,
    scheme: SCHEMES[protocol] ?? "",
    port: integerOf(listener["port"]),
    hostname: textAt(listener, "hostname"),
  };
}

function listenersOf(pass: Pass, gateway: JsonObject, ref: ParentRef): readonly Listener[] {
  const listeners = objectsOf(at(gateway, "spec", "listeners")).map(parseListener);
  const what = `Gateway ${ref.namespace}/${ref.name}`;
  if (ref.sectionName !== undefined) {
    const chosen = listeners.filter((listener) => listener.name === ref.sectionName);
    if (chosen.length === 0) return fail(`${what} has no listener named ${ref.sectionName}, which a parentRef names`);
    if (chosen[0]?.scheme === "")
      return fail(`listener ${ref.sectionName} of ${what} speaks ${chosen[0].protocol}, not HTTP, HTTPS or TLS`);
    return chosen;
  }
  const usable = listeners.filter((listener) => listener.scheme !== "");
  if (usable.length === 0) return fail(`${what} has no HTTP, HTTPS or TLS listener`);
  const rank = (listener: Listener): number =>
    listener.scheme === pass.global.ingress.urlScheme ? 0 : listener.scheme === "https" ? 1 : 2;
  return [...usable].sort((left, right) => rank(left) - rank(right));
}

/** A wildcard hostname with a first label in place of `*`; undefined for a name that matches everything. */
function concrete(pass: Pass, hostname: string | undefined): string | undefined {
  if (hostname === undefined || hostname === "" || hostname === "*") return undefined;
  return hostname.startsWith("*.") ? `${pass.settings.wildcardHostname}${hostname.slice(1)}` : hostname;
}

function externalHosts(pass: Pass, route: RouteView, gateway: JsonObject, listener: Listener): readonly string[] {
  const addresses = objectsOf(at(gateway, "status", "addresses")).flatMap((address) => textAt(address, "value") ?? []);
  if (addresses.length === 0) return [];
  const own = stringsOf(route.spec["hostnames"]).flatMap((hostname) => concrete(pass, hostname) ?? []);
  if (own.length > 0) return [...own].sort();
  const listening = concrete(pass, listener.hostname);
  return listening === undefined ? [...addresses].sort() : [listening];
}

/** The Service behind a Gateway: by the label of the Gateway API, by Envoy Gateway's labels in any namespace, or by name. */
function backingService(pass: Pass, ref: ParentRef): KubeObject | undefined {
  const [labelled] = pass.cluster.list(KINDS.Service, ref.namespace, { [GATEWAY_NAME_LABEL]: ref.name });
  const [owned] =
    labelled === undefined
      ? pass.cluster.list(KINDS.Service, undefined, {
          [ENVOY_OWNER_LABEL]: ref.name,
          [ENVOY_OWNER_NAMESPACE_LABEL]: ref.namespace,
        })
      : [];
  return labelled ?? owned ?? pass.cluster.find(KINDS.Service, { namespace: ref.namespace, name: ref.name });
}

function internalHosts(pass: Pass, service: KubeObject | undefined, listener: Listener): readonly string[] {
  if (service === undefined) return [];
  const ports = objectsOf(at(asJson(service), "spec", "ports")).map((port) => port["port"]);
  if (ports.length > 0 && !ports.some((port) => port === listener.port)) return [];
  const { name, namespace } = service.metadata;
  return [`${name}.${namespace}.svc.${pass.settings.clusterDomain}`];
}

function urlsOf(pass: Pass, route: RouteView, ref: ParentRef): readonly ServiceUrl[] {
  const gateway = findGateway(pass, ref) ?? fail(`Gateway ${ref.namespace}/${ref.name} does not exist`);
  const listeners = listenersOf(pass, gateway, ref);
  const service = backingService(pass, ref);
  return basePaths(route.spec["rules"] as Json | undefined, pass.global.ingress.modelRoutingHeader).flatMap((path) =>
    listeners.flatMap((listener) =>
      [...externalHosts(pass, route, gateway, listener), ...internalHosts(pass, service, listener)].map((host) => ({
        url: formatUrl(listener.scheme, host, listener.port, path),
        scheme: listener.scheme,
        host,
        path,
        gateway: { namespace: ref.namespace, name: ref.name },
      })),
    ),
  );
}

/**
 * All addresses of the routes: for each path and listener the external hosts (of route, listener or Gateway) and the Service
 * behind the Gateway, without repetition, in the order of routes and parents. Throws `PassError` for a Gateway or listener
 * that is not there.
 */
export function discoverUrls(pass: Pass, routes: readonly RouteView[]): readonly ServiceUrl[] {
  const found = routes.flatMap((route) => gatewayParents(route).flatMap((ref) => urlsOf(pass, route, ref)));
  const seen = new Set<string>();
  return found.filter(({ url }) => !seen.has(url) && seen.add(url) !== undefined);
}
