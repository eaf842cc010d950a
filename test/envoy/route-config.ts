import { hostMatches, type RouteEntry } from "../../playground/gateway/route-match.ts";
import { type Backend, type BackendSources, poolAddresses, resolveBackend } from "../../playground/gateway/backends.ts";
import { type Address, serviceAddresses } from "../../playground/gateway/backends.ts";
import { type Fields, numberAt, recordAt, recordsAt, textAt } from "../../playground/fields.ts";
import { DESTINATION, type Json, overriddenRoundRobin, socket, typed, unverifiedTls } from "./config.ts";

type Entries = { readonly [key: string]: Json };

/** Resources of Envoy's discovery services, by type. */
export interface Resources {
  readonly listeners: readonly Json[];
  readonly clusters: readonly Json[];
  readonly endpoints: readonly Json[];
}

/** A cluster that has no endpoint: where the filter would ask on a route without a picker. */
export const NO_PICKER = "no-picker";
const EXT_PROC = "envoy.filters.http.ext_proc";

/**
 * What Envoy needs to serve HTTPRoutes: a listener for each port, a cluster for each backend and picker, and their endpoints.
 * Covers what the operator writes into routes: path, header and method matches, rewrites, header modifiers, timeouts, weights,
 * backends of kind Service and InferencePool.
 */
export function routeResources(
  host: string,
  ports: ReadonlySet<number>,
  routes: ReadonlyMap<number, readonly RouteEntry[]>,
  sources: BackendSources,
): Resources {
  const clusters = new Clusters(sources);
  const listeners = [...ports].map((port) =>
    listener(`${host}:${port}`, virtualHosts(routes.get(port) ?? [], clusters)),
  );
  return { listeners, clusters: [...clusters.clusters.values()], endpoints: [...clusters.endpoints.values()] };
}

function listener(address: string, hosts: readonly Json[]): Json {
  const manager = typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: address,
    strip_any_host_port: true,
    route_config: { name: address, virtual_hosts: hosts },
    http_filters: [
      { name: EXT_PROC, typed_config: extProc() },
      {
        name: "envoy.filters.http.router",
        typed_config: typed("envoy.extensions.filters.http.router.v3.Router", { suppress_envoy_headers: true }),
      },
    ],
  });
  return {
    name: address,
    address: socket(address),
    filter_chains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] }],
  };
}

/** As gateways set it for an InferencePool; each route names its own picker. */
function extProc(): Json {
  return typed("envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor", {
    grpc_service: { envoy_grpc: { cluster_name: NO_PICKER } },
    message_timeout: "1000s",
    processing_mode: {
      request_header_mode: "SEND",
      response_header_mode: "SEND",
      request_body_mode: "FULL_DUPLEX_STREAMED",
      response_body_mode: "FULL_DUPLEX_STREAMED",
      request_trailer_mode: "SEND",
      response_trailer_mode: "SEND",
    },
    metadata_options: {
      forwarding_namespaces: { untyped: ["envoy.lb", "envoy.lb.subset_hint"] },
      receiving_namespaces: { untyped: ["envoy.lb"] },
    },
  });
}

interface Match {
  readonly entry: RouteEntry;
  readonly match: Fields;
}

/** One for each hostname, which also serves the routes of less specific ones. */
function virtualHosts(entries: readonly RouteEntry[], clusters: Clusters): Json[] {
  const domains = new Set([...entries.flatMap(({ hostnames }) => hostnames), "*"]);
  return [...domains].map((domain) => {
    const covers = (name: string): boolean => name === domain || hostMatches(name, domain);
    const own = entries.filter(({ hostnames }) => hostnames.length === 0 || hostnames.some(covers));
    const matches = own.flatMap((entry): Match[] => {
      const all = recordsAt(entry.rule, "matches");
      return (all.length > 0 ? all : [{}]).map((match) => ({ entry, match }));
    });
    return { name: domain, domains: [domain], routes: matches.sort(byPrecedence).map((one) => route(one, clusters)) };
  });
}

const PATH_RANKS: Readonly<Record<string, number>> = { Exact: 2, RegularExpression: 1, PathPrefix: 0 };

/** Gateway API: host, then path, method, number of headers and parameters, then the older route. */
function byPrecedence(left: Match, right: Match): number {
  const [a, b] = [rankOf(left), rankOf(right)];
  const difference = a.map((value, index) => b[index]! - value).find((value) => value !== 0);
  if (difference !== undefined) return difference;
  const key = ({ entry }: Match): string => `${entry.created} ${entry.namespace}/${entry.name}`;
  return key(left) === key(right) ? left.entry.index - right.entry.index : key(left) < key(right) ? -1 : 1;
}

function rankOf({ entry, match }: Match): readonly number[] {
  return [
    Math.max(0, ...entry.hostnames.map((name) => name.length)),
    PATH_RANKS[textAt(match, "path", "type") ?? "PathPrefix"] ?? 0,
    (textAt(match, "path", "value") ?? "/").length,
    textAt(match, "method") === undefined ? 0 : 1,
    recordsAt(match, "headers").length,
    recordsAt(match, "queryParams").length,
  ];
}

function route({ entry, match }: Match, clusters: Clusters): Json {
  const backends = recordsAt(entry.rule, "backendRefs").map((reference) => ({
    backend: clusters.add(resolveBackend(reference, entry.namespace, clusters.sources)),
    weight: numberAt(reference, "weight") ?? 1,
  }));
  const served = backends.filter(({ backend, weight }) => backend !== undefined && weight > 0);
  if (served.length === 0) return { match: matchOf(match), direct_response: { status: 500 } };
  const weighted = served.map(({ backend, weight }) => ({
    name: backend!.cluster,
    weight,
    typed_per_filter_config: { [EXT_PROC]: pickerOf(backend!) },
  }));
  return {
    match: matchOf(match),
    route: { weighted_clusters: { clusters: weighted }, ...timeouts(entry.rule), ...rewrite(entry.rule, match) },
    ...headerChanges(entry.rule),
  };
}

function pickerOf({ picker, failOpen }: Cluster): Json {
  const type = "envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute";
  if (picker === undefined) return typed(type, { disabled: true });
  const grpc = { envoy_grpc: { cluster_name: picker, authority: picker }, timeout: "10s" };
  return typed(type, { overrides: { grpc_service: grpc, failure_mode_allow: failOpen } });
}

function matchOf(match: Fields): Json {
  const method = textAt(match, "method");
  const value = (wanted: Fields): Entries =>
    textAt(wanted, "type") === "RegularExpression"
      ? { safe_regex: { regex: textAt(wanted, "value") ?? "" } }
      : { exact: textAt(wanted, "value") ?? "" };
  const named = (wanted: Fields): Entries => ({ name: textAt(wanted, "name") ?? "", string_match: value(wanted) });
  return {
    ...pathMatch(match),
    headers: [
      ...(method === undefined ? [] : [{ name: ":method", string_match: { exact: method } }]),
      ...recordsAt(match, "headers").map(named),
    ],
    query_parameters: recordsAt(match, "queryParams").map(named),
  };
}

function pathMatch(match: Fields): Entries {
  const path = textAt(match, "path", "value") ?? "/";
  switch (textAt(match, "path", "type") ?? "PathPrefix") {
    case "Exact":
      return { path };
    case "RegularExpression":
      return { safe_regex: { regex: path } };
    default:
      return path === "/" ? { prefix: "/" } : { path_separated_prefix: path.replace(/\/$/, "") };
  }
}

/** A limit of `0s` is none, in Gateway API as in Envoy; without one there is none either. */
function timeouts(rule: Fields): Entries {
  return { timeout: textAt(rule, "timeouts", "request") ?? "0s" };
}

function rewrite(rule: Fields, match: Fields): Entries {
  const change = recordAt(filterOf(rule, "URLRewrite"), "urlRewrite");
  const [host, full, prefix] = [
    textAt(change, "hostname"),
    textAt(change, "path", "replaceFullPath"),
    textAt(change, "path", "replacePrefixMatch"),
  ];
  return {
    ...(host === undefined ? {} : { host_rewrite_literal: host }),
    ...(full === undefined ? {} : { regex_rewrite: { pattern: { regex: "^[^?]*" }, substitution: full } }),
    ...(prefix === undefined ? {} : prefixRewrite(textAt(match, "path", "value") ?? "/", prefix)),
  };
}

/** A prefix that is replaced by the root would leave two slashes. */
function prefixRewrite(prefix: string, replacement: string): Entries {
  if (replacement !== "/" && replacement !== "") return { prefix_rewrite: replacement };
  const literal = prefix.replace(/\/$/, "").replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return { regex_rewrite: { pattern: { regex: `^${literal}/*` }, substitution: "/" } };
}

function headerChanges(rule: Fields): Entries {
  const change = recordAt(filterOf(rule, "RequestHeaderModifier"), "requestHeaderModifier");
  const header = (append: string) => (one: Fields) => ({
    header: { key: textAt(one, "name") ?? "", value: textAt(one, "value") ?? "" },
    append_action: append,
  });
  return {
    request_headers_to_add: [
      ...recordsAt(change, "set").map(header("OVERWRITE_IF_EXISTS_OR_ADD")),
      ...recordsAt(change, "add").map(header("APPEND_IF_EXISTS_OR_ADD")),
    ],
  };
}

const filterOf = (rule: Fields, type: string): Fields | undefined =>
  recordsAt(rule, "filters").find((filter) => filter["type"] === type);

/** Where a route sends to. */
interface Cluster {
  readonly cluster: string;
  /** Cluster of the endpoint picker that is asked first. */
  readonly picker: string | undefined;
  readonly failOpen: boolean;
}

/** The clusters that routes need, by name, collected as routes are written. */
class Clusters {
  readonly sources: BackendSources;
  readonly clusters = new Map<string, Json>();
  readonly endpoints = new Map<string, Json>();

  constructor(sources: BackendSources) {
    this.sources = sources;
  }

  /** The cluster of a backend; undefined for one that leads nowhere. */
  add(backend: Backend): Cluster | undefined {
    if (backend.kind === "unresolved") return undefined;
    if (backend.kind === "service") {
      const { namespace, name } = backend.service.metadata;
      const cluster = `service/${namespace}/${name}/${backend.port}`;
      this.#put(cluster, serviceAddresses(backend.service, backend.port, this.sources.slices), {});
      return { cluster, picker: undefined, failOpen: false };
    }
    const { pool } = backend;
    const { namespace = "", name } = pool.object.metadata;
    const cluster = `pool/${namespace}/${name}`;
    this.#put(cluster, poolAddresses(pool, this.sources.pods), overriddenRoundRobin({ header: DESTINATION }));
    return { cluster, picker: this.#picker(namespace, pool.picker), failOpen: pool.failOpen };
  }

  #picker(namespace: string, { name, port }: { readonly name: string; readonly port: number }): string {
    const cluster = `picker/${namespace}/${name}/${port}`;
    const service = this.sources.services.get({ namespace, name });
    const addresses = service === undefined ? [] : serviceAddresses(service, port, this.sources.slices);
    const protocol = typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", {
      explicit_http_config: { http2_protocol_options: {} },
    });
    this.#put(cluster, addresses, {
      transport_socket: unverifiedTls(),
      typed_extension_protocol_options: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol },
    });
    return cluster;
  }

  #put(name: string, addresses: readonly Address[], settings: Entries): void {
    this.clusters.set(name, { name, type: "EDS", connect_timeout: "1s", ...settings });
    const hosts = addresses.map(({ host, port }) => ({ endpoint: { address: socket(`${host}:${port}`) } }));
    this.endpoints.set(name, { cluster_name: name, endpoints: [{ lb_endpoints: hosts }] });
  }
}
