/**
 * Configurations of Envoy as gateways generate them for a route to an InferencePool: how the pick reaches the load balancer
 * differs, and what happens without one.
 */

/** A JSON document. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** How a gateway sends a request to the picked endpoint. */
export const STYLES = {
  /** Endpoint from the header, nothing without it: the samples of the inference extension. */
  "original-dst": "address in the header, no other endpoints",
  /** The header overrides a round robin: Envoy Gateway. */
  "override-header": "round robin, overridden by the header",
  /** Dynamic metadata override a round robin: Istio. */
  "override-metadata": "round robin, overridden by dynamic metadata",
  /** Dynamic metadata select a subset of one host, any host without: kgateway. */
  subset: "metadata subset of one host, any host without it",
} as const;

/** Name of a style. */
export type Style = keyof typeof STYLES;

/** Body modes of the ext_proc filter that endpoint pickers are configured with. */
export const BODY_MODES = ["FULL_DUPLEX_STREAMED", "BUFFERED", "BUFFERED_PARTIAL", "STREAMED", "NONE"] as const;

/** A body mode of the ext_proc filter, for both directions. */
export type BodyMode = (typeof BODY_MODES)[number];

/** One listener with a route to the pool. */
export interface PoolRoute {
  readonly name: string;
  readonly style: Style;
  readonly bodyMode: BodyMode;
  /** `failure_mode_allow` of the filter; default true. */
  readonly failOpen?: boolean;
  /** Endpoints that the picker may choose among, told by metadata. */
  readonly subsetHint?: readonly string[];
  /** Attempts after the first on connection failures; default none. */
  readonly retries?: number;
}

/** The pool and its picker. */
export interface Upstreams {
  /** `ip:port` of the picker's ext_proc port. */
  readonly picker: string;
  /** Whether the picker is asked for its health; one that is not healthy is not asked for picks. */
  readonly healthChecks: boolean;
  /** `ip:port` of the model servers. */
  readonly endpoints: readonly string[];
  /** Whether the model servers speak TLS. Default false. */
  readonly tls?: boolean;
  /**
   * Folder of `CLUSTER.json` files with load assignments that Envoy follows, in place of the addresses given here; a file is
   * replaced by a rename. It holds one file for each of `FOLLOWED_CLUSTERS` from the start on.
   */
  readonly assignments?: string;
  /** File that takes a line of JSON (`FailureLine`) for each request that failed. */
  readonly failures?: string;
}

/** What Envoy tells about a request that failed. */
export interface FailureLine {
  /** Value of the request's header `x-chaos-id`. */
  readonly id: string;
  readonly status: number;
  readonly flags: string;
  /** `ip:port` of the last endpoint; null where there was none. */
  readonly host: string | null;
  readonly details: string;
}

/** Header, and key of the metadata, in which the pick comes. */
export const DESTINATION = "x-gateway-destination-endpoint";
/** Name of the picker's cluster. */
export const PICKER = "picker";
/** Clusters whose endpoints can be followed. */
export const FOLLOWED_CLUSTERS = [PICKER, "override-header", "override-metadata", "subset"] as const;
/** Model servers close connections that were idle for five seconds, just when a request may come on one. */
const IDLE_TIMEOUT = "3s";
/** Bodies up to this size may be buffered. */
const BUFFER_BYTES = 16 * 1024 * 1024;

/** A message inside an `Any`. */
export const typed = (type: string, rest: { readonly [key: string]: Json } = {}): Json => ({
  "@type": `type.googleapis.com/${type}`,
  ...rest,
});

/** A whole bootstrap document. */
export function envoyConfig(upstreams: Upstreams, routes: readonly PoolRoute[]): Json {
  return {
    node: { id: "test", cluster: "test" },
    static_resources: {
      listeners: routes.map((route) => listener(route, upstreams)),
      clusters: [picker(upstreams), ...(Object.keys(STYLES) as Style[]).map((style) => pool(style, upstreams))],
    },
  };
}

/** An `ip:port` as Envoy writes it. */
export function socket(address: string): Json {
  const colon = address.lastIndexOf(":");
  return { socket_address: { address: address.slice(0, colon), port_value: Number(address.slice(colon + 1)) } };
}

function listener(route: PoolRoute, { failures }: Upstreams): Json {
  const manager = typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: route.name,
    codec_type: "AUTO",
    http_protocol_options: { enable_trailers: true },
    stream_idle_timeout: "60s",
    ...(failures === undefined ? {} : { access_log: [failureLog(failures)] }),
    route_config: {
      virtual_hosts: [
        {
          name: "pool",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, route: { cluster: route.style, timeout: "0s", ...retryPolicy(route) } }],
        },
      ],
    },
    http_filters: [
      ...(route.subsetHint === undefined ? [] : [hintFilter(route.subsetHint)]),
      extProcFilter(route),
      {
        name: "envoy.filters.http.router",
        typed_config: typed("envoy.extensions.filters.http.router.v3.Router", { suppress_envoy_headers: true }),
      },
    ],
  });
  return {
    name: route.name,
    address: socket("127.0.0.1:0"),
    per_connection_buffer_limit_bytes: BUFFER_BYTES,
    filter_chains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] }],
  };
}

function failureLog(path: string): Json {
  const failed = { op: "GE", value: { default_value: 400, runtime_key: "unused" } };
  const line = {
    id: "%REQ(X-CHAOS-ID)%",
    status: "%RESPONSE_CODE%",
    flags: "%RESPONSE_FLAGS%",
    host: "%UPSTREAM_HOST%",
    details: "%RESPONSE_CODE_DETAILS%",
  };
  return {
    name: "envoy.access_loggers.file",
    filter: { or_filter: { filters: [{ status_code_filter: { comparison: failed } }, { response_flag_filter: {} }] } },
    typed_config: typed("envoy.extensions.access_loggers.file.v3.FileAccessLog", {
      path,
      log_format: { json_format: line },
    }),
  };
}

function retryPolicy({ retries }: PoolRoute): { readonly [key: string]: Json } {
  if (retries === undefined) return {};
  return { retry_policy: { retry_on: "connect-failure,refused-stream,reset-before-request", num_retries: retries } };
}

function extProcFilter({ bodyMode, failOpen = true }: PoolRoute): Json {
  const duplex = bodyMode === "FULL_DUPLEX_STREAMED";
  return {
    name: "envoy.filters.http.ext_proc",
    typed_config: typed("envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor", {
      grpc_service: { envoy_grpc: { cluster_name: PICKER, authority: PICKER }, timeout: "10s" },
      failure_mode_allow: failOpen,
      message_timeout: "1000s",
      processing_mode: {
        request_header_mode: "SEND",
        response_header_mode: "SEND",
        request_body_mode: bodyMode,
        response_body_mode: bodyMode,
        request_trailer_mode: duplex ? "SEND" : "SKIP",
        response_trailer_mode: duplex ? "SEND" : "SKIP",
      },
      metadata_options: {
        forwarding_namespaces: { untyped: ["envoy.lb", "envoy.lb.subset_hint"] },
        receiving_namespaces: { untyped: ["envoy.lb"] },
      },
    }),
  };
}

function hintFilter(endpoints: readonly string[]): Json {
  return {
    name: "envoy.filters.http.set_metadata",
    typed_config: typed("envoy.extensions.filters.http.set_metadata.v3.Config", {
      metadata: [{ metadata_namespace: "envoy.lb.subset_hint", value: { [`${DESTINATION}-subset`]: endpoints } }],
    }),
  };
}

function picker(upstreams: Upstreams): Json {
  const { picker: address, healthChecks } = upstreams;
  return {
    name: PICKER,
    ...assigned(PICKER, [address], upstreams),
    connect_timeout: "1s",
    lb_policy: "LEAST_REQUEST",
    circuit_breakers: {
      thresholds: [{ max_connections: 40000, max_pending_requests: 40000, max_requests: 40000, max_retries: 40000 }],
    },
    typed_extension_protocol_options: protocolOptions({ explicit_http_config: { http2_protocol_options: {} } }),
    transport_socket: unverifiedTls("h2"),
    ...(healthChecks ? { health_checks: [healthCheck()], common_lb_config: HEALTH_AT_ONCE } : {}),
  };
}

/** No picker is asked when none is healthy, and workers hear of changes at once instead of once a second. */
const HEALTH_AT_ONCE = { healthy_panic_threshold: {}, update_merge_window: "0s" } as const;

function healthCheck(): Json {
  return {
    timeout: "1s",
    interval: "0.2s",
    no_traffic_interval: "0.2s",
    unhealthy_threshold: 1,
    healthy_threshold: 1,
    grpc_health_check: { service_name: "envoy.service.ext_proc.v3.ExternalProcessor" },
  };
}

function protocolOptions(options: { readonly [key: string]: Json }): Json {
  const type = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  return { [type]: typed(type, options) };
}

/** Endpoints of a cluster, written here or followed in a file. */
function assigned(name: string, addresses: readonly string[], { assignments }: Upstreams): Record<string, Json> {
  if (assignments === undefined) return { type: "STATIC", load_assignment: assignment(name, addresses) };
  const source = { path_config_source: { path: `${assignments}/${name}.json` }, resource_api_version: "V3" };
  return {
    type: "EDS",
    eds_cluster_config: { service_name: name, eds_config: source },
    ignore_health_on_host_removal: true,
  };
}

/** Content of a followed file. */
export function assignmentFile(cluster: string, addresses: readonly string[], version: number): string {
  const resource = assignment(cluster, addresses) as Record<string, Json>;
  const type = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
  return JSON.stringify({ version_info: String(version), resources: [{ "@type": type, ...resource }] });
}

/** TLS to a server whose certificate is not checked; `protocol` is the one to speak. */
export function unverifiedTls(protocol = "h2"): Json {
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", {
      common_tls_context: { validation_context: {}, alpn_protocols: [protocol] },
    }),
  };
}

function pool(style: Style, upstreams: Upstreams): Json {
  const common = {
    name: style,
    connect_timeout: "1s",
    ...(upstreams.tls === true ? { transport_socket: unverifiedTls("http/1.1") } : {}),
    typed_extension_protocol_options: protocolOptions({
      common_http_protocol_options: { idle_timeout: IDLE_TIMEOUT },
      explicit_http_config: { http_protocol_options: {} },
    }),
    per_connection_buffer_limit_bytes: BUFFER_BYTES,
    circuit_breakers: {
      thresholds: [{ max_connections: 40000, max_pending_requests: 40000, max_requests: 40000, max_retries: 40000 }],
    },
  };
  if (style === "original-dst")
    return {
      ...common,
      type: "ORIGINAL_DST",
      lb_policy: "CLUSTER_PROVIDED",
      original_dst_lb_config: { use_http_header: true, http_header_name: DESTINATION },
    };
  return { ...common, ...assigned(style, upstreams.endpoints, upstreams), ...balancing(style) };
}

function assignment(cluster: string, endpoints: readonly string[]): Json {
  const hosts = endpoints.map((address) => ({
    endpoint: { address: socket(address) },
    ...(cluster === "subset" ? { metadata: { filter_metadata: { "envoy.lb": { [DESTINATION]: address } } } } : {}),
  }));
  return { cluster_name: cluster, endpoints: [{ lb_endpoints: hosts }] };
}

function balancing(style: Style): { readonly [key: string]: Json } {
  if (style === "subset")
    return {
      lb_subset_config: {
        fallback_policy: "ANY_ENDPOINT",
        subset_selectors: [{ keys: [DESTINATION], single_host_per_subset: true, fallback_policy: "ANY_ENDPOINT" }],
      },
    };
  return overriddenRoundRobin(
    style === "override-header"
      ? { header: DESTINATION }
      : { metadata: { key: "envoy.lb", path: [{ key: DESTINATION }] } },
  );
}

/** A round robin that the pick overrides; `source` says where the pick is found. */
export function overriddenRoundRobin(source: Json): { readonly [key: string]: Json } {
  const roundRobin = {
    typed_extension_config: {
      name: "envoy.load_balancing_policies.round_robin",
      typed_config: typed("envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin"),
    },
  };
  const override = {
    typed_extension_config: {
      name: "envoy.load_balancing_policies.override_host",
      typed_config: typed("envoy.extensions.load_balancing_policies.override_host.v3.OverrideHost", {
        override_host_sources: [source],
        fallback_policy: { policies: [roundRobin] },
      }),
    },
  };
  return { load_balancing_policy: { policies: [override] } };
}
