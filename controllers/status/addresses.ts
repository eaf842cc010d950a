import type { JsonObject } from "../../crds/schema/types.ts";
import { textAt } from "../../crds/json.ts";
import type { Pass } from "../llminferenceservice/pass.ts";
import { GATEWAY_GROUP } from "../router/gateway.ts";
import { isAddress, isInternalHost } from "../router/hosts.ts";
import type { ServiceUrl } from "../router/urls.ts";
import { loraAdapters, qualifiedModelName } from "../workload/lora.ts";
import { SERVING_PORT } from "../workload/service.ts";

function modelNames(pass: Pass): readonly string[] {
  return [textAt(pass.spec, "model", "name") ?? pass.name, ...loraAdapters(pass.spec).map(({ name }) => name)];
}

const isShared = (path: string): boolean => path === "" || path === "/";

/** Names that a request may carry: behind a shared path only qualified ones tell services apart. */
function acceptedModels(pass: Pass, shared: boolean): JsonObject[] {
  return modelNames(pass).flatMap((name) => {
    const qualified = { name: qualifiedModelName(pass.namespace, name) };
    return shared ? [qualified] : [qualified, { name }];
  });
}

function addressName(pass: Pass, { host, path }: ServiceUrl): string {
  const { clusterDomain } = pass.settings;
  const kind = host.endsWith(clusterDomain)
    ? "gateway-internal"
    : isInternalHost(host, clusterDomain)
      ? "internal"
      : "gateway-external";
  return isShared(path) ? `${kind}-model-routing` : kind;
}

const byUrl = (left: ServiceUrl, right: ServiceUrl): number =>
  left.url < right.url ? -1 : left.url > right.url ? 1 : 0;

/** `status.addresses` of a routed service: every URL, sorted, with the Gateway behind it and the models it serves. */
export function routedAddresses(pass: Pass, urls: readonly ServiceUrl[]): JsonObject[] {
  return [...urls].sort(byUrl).map((found) => ({
    name: addressName(pass, found),
    url: found.url,
    origin: { group: GATEWAY_GROUP, kind: "Gateway", name: found.gateway.name, namespace: found.gateway.namespace },
    models: acceptedModels(pass, isShared(found.path)),
  }));
}

/** `status.addresses` of a service without a route: its workload Service. */
export function serviceAddresses(pass: Pass): JsonObject[] {
  const scheme = pass.global.ingress.enableTls ? "https" : "http";
  const host = `${pass.names.workloadService}.${pass.namespace}.svc.${pass.settings.clusterDomain}`;
  return [
    { name: "service-internal", url: `${scheme}://${host}:${SERVING_PORT}`, models: acceptedModels(pass, false) },
  ];
}

/**
 * `status.url`: external before internal; then the service's own path, the configured scheme, then https, names before
 * addresses; the order of the route's parents decides the rest.
 */
export function primaryUrl(pass: Pass, urls: readonly ServiceUrl[]): string | undefined {
  const prefix = `/${pass.namespace}/${pass.name}`;
  const preferences: readonly ((found: ServiceUrl) => boolean)[] = [
    ({ host }) => !isInternalHost(host, pass.settings.clusterDomain),
    ({ path }) => path.startsWith(prefix),
    ({ scheme }) => scheme === pass.global.ingress.urlScheme,
    ({ scheme }) => scheme === "https",
    ({ host }) => !isAddress(host),
  ];
  const best = preferences.reduce((left, prefer) => {
    const preferred = left.filter(prefer);
    return preferred.length > 0 ? preferred : left;
  }, urls);
  return best[0]?.url;
}
