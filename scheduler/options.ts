import {
  FlagReader,
  type FlagNotes,
  type FlagTable,
  noteWarnings,
  parsePort,
  splitFlags,
  usageText,
} from "../flags/flags.ts";
import { LOG_FLAGS, readVerbosity } from "../flags/verbosity.ts";
import { readMetricSpec } from "./framework/metric-spec.ts";
import { parseSelectorText } from "./plugins/filter/selector.ts";

/** Where the endpoints come from. */
export type PoolSource =
  | { readonly kind: "pool"; readonly name: string; readonly namespace: string; readonly group: string }
  | {
      readonly kind: "selector";
      readonly selector: string;
      readonly targetPorts: readonly number[];
      readonly namespace: string;
    };

/** Where and how the model servers' metrics are read, as far as flags say it (undefined: not given); configuration wins over them. */
export interface ModelServerMetricsFlags {
  readonly port: number | undefined;
  readonly path: string | undefined;
  readonly scheme: string | undefined;
  readonly insecureSkipVerify: boolean | undefined;
  /** Metric specs such as `vllm:num_requests_waiting`; "" disables a metric. */
  readonly waiting: string | undefined;
  readonly running: string | undefined;
  readonly kvUsage: string | undefined;
  readonly lora: string | undefined;
  readonly cacheInfo: string | undefined;
}

/** Configuration of the scheduler process. Times in milliseconds, sizes in bytes. */
export interface SchedulerOptions {
  readonly source: PoolSource;
  readonly grpcPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly configFile: string | undefined;
  readonly configText: string | undefined;
  readonly secureServing: boolean;
  /** Folder of `tls.crt` and `tls.key`; absent: self-signed. */
  readonly certPath: string | undefined;
  readonly certReload: boolean;
  readonly tlsMinVersion: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined;
  readonly healthChecking: boolean;
  /** Whether the metrics port takes profiles of the process. */
  readonly profiling: boolean;
  /** Whether the gRPC streams have metrics of their own. */
  readonly streamMetrics: boolean;
  /** Whether requests are traced as far as the environment names an exporter. */
  readonly tracing: boolean;
  readonly metricsAuth: boolean;
  readonly verbosity: number;
  readonly logFormat: "json" | "console";
  readonly drainTimeoutMs: number;
  readonly maxReceiveBytes: number;
  readonly refreshMetricsMs: number;
  readonly refreshPoolMetricsMs: number;
  readonly stalenessMs: number;
  /** Bytes of a whole request body; a larger one is refused with 413. */
  readonly maxBodyBytes: number;
  /** Bytes that all clients together can make the process hold; undefined: by its memory limit. */
  readonly maxHeldBytes: number | undefined;
  /** `BODY_MODE` of proxies that do not tell theirs. */
  readonly assumedBodyMode: number;
  readonly ignoreSubset: boolean;
  readonly emitScores: boolean;
  /** Share of decisions that are kept and logged, 0 to 1. */
  readonly decisionSampling: number;
  readonly allowExperimental: boolean;
  /** Modules with plugins of the user, by path. */
  readonly pluginModules: readonly string[];
  readonly modelServerMetrics: ModelServerMetricsFlags;
}

/** What a command line says. With errors the options are not to be used. */
export interface ParsedOptions {
  readonly options: SchedulerOptions;
  readonly warnings: readonly string[];
  readonly errors: readonly string[];
  /** Whether only the list of flags is wanted. */
  readonly help: boolean;
}

/** Every flag of the endpoint pickers of v0.4.0 to v0.10, and a few of our own. */
const FLAGS: FlagTable = {
  "grpc-port": ["int", "port of the ext_proc service (default 9002)"],
  "grpc-health-port": ["int", "port of the gRPC health service (default 9003)"],
  "metrics-port": ["int", "port of metrics and debug pages (default 9090)"],
  "pool-name": ["text", "InferencePool whose pods are picked"],
  "pool-namespace": ["text", "namespace of the pool (default $NAMESPACE, then default)"],
  "pool-group": ["text", "API group of the pool (default inference.networking.k8s.io)"],
  "endpoint-selector": ["text", "label selector of pods, in place of a pool"],
  "endpoint-target-ports": ["list", "ports of those pods, 1 to 8, separated by commas"],
  "config-file": ["text", "file of an EndpointPickerConfig; followed while running"],
  "config-text": ["text", "an EndpointPickerConfig as text"],
  "secure-serving": ["bool", "TLS on the ext_proc port (default true)"],
  "cert-path": ["text", "folder of tls.crt and tls.key (default: a self-signed certificate)"],
  "enable-cert-reload": ["bool", "follow the certificate files"],
  "tls-min-version": ["text", "VersionTLS10 to VersionTLS13"],
  "tls-cipher-suites": ["list", "cipher suites by their Go names"],
  "health-checking": ["bool", "health service on the ext_proc port, too"],
  "metrics-endpoint-auth": ["bool", "readers of the metrics port must be authorized by the cluster (default true)"],
  "metrics-cert-dir": ["text", "folder of a certificate for the metrics port"],
  "metrics-client-ca-file": ["text", "authority of client certificates on the metrics port"],
  "enable-pprof": ["bool", "profiles on the metrics port (default true)"],
  tracing: ["bool", "spans, where an OTLP endpoint or exporter is configured (default true)"],
  ...LOG_FLAGS,
  "ha-enable-leader-election": ["bool", "accepted"],
  "drain-timeout": ["duration", "time for open streams at the end (default 30s)"],
  "grpc-max-recv-msg-size": ["bytes", "largest message, such as 10MiB (default 65MiB)"],
  "grpc-max-send-msg-size": ["bytes", "accepted"],
  "refresh-metrics-interval": ["duration", "time between two reads of an endpoint's metrics (default 50ms)"],
  "refresh-prometheus-metrics-interval": ["duration", "time between two updates of the pool's gauges (default 5s)"],
  "metrics-staleness-threshold": ["duration", "age from which metrics count as stale (default 2s)"],
  "disable-endpoint-subset-filter": ["bool", "ignore subset hints of the proxy"],
  "emit-endpoint-scores": ["bool", "scores of all candidates in the dynamic metadata"],
  "enable-grpc-stream-metrics": ["bool", "metrics of the gRPC streams"],
  "allow-experimental-plugins": ["bool", "allow plugins of alpha stability"],
  "plugin-module": ["list", "modules with plugins of your own, by path (default $LLMISVC_PLUGIN_MODULES)"],
  "total-queued-requests-metric": ["text", "metric of waiting requests (default vllm:num_requests_waiting)"],
  "total-running-requests-metric": ["text", "metric of running requests (default vllm:num_requests_running)"],
  "kv-cache-usage-percentage-metric": ["text", "metric of the KV-cache usage (default vllm:kv_cache_usage_perc)"],
  "lora-info-metric": ["text", "metric of LoRA adapters (default vllm:lora_requests_info)"],
  "cache-info-metric": ["text", "metric of the cache configuration (default vllm:cache_config_info)"],
  "model-server-metrics-port": ["int", "port of the endpoints' metrics (default: their own)"],
  "model-server-metrics-path": ["text", "path of the endpoints' metrics (default /metrics)"],
  "model-server-metrics-scheme": ["text", "http or https (default http)"],
  "model-server-metrics-https-insecure-skip-verify": ["bool", "take any certificate of the endpoints (default true)"],
  "max-request-body-size": ["bytes", "largest request body, refused with 413 beyond (default 64MiB)"],
  "max-held-bytes": [
    "bytes",
    "memory of all requests that are incomplete or wait, refused with 429 beyond; a connection gets half (default: a quarter of the memory limit)",
  ],
  "assumed-body-mode": ["text", "body mode of proxies that do not tell theirs (default FULL_DUPLEX_STREAMED)"],
  "decision-sampling": ["text", "share of decisions that are kept and logged, 0 to 1 (default 0)"],
  "destination-endpoint-hint-key": ["text", "accepted"],
  "destination-endpoint-hint-metadata-namespace": ["text", "accepted"],
};

const DEPRECATED: FlagNotes["deprecated"] = {
  "total-queued-requests-metric": "parameters of core-metrics-extractor",
  "total-running-requests-metric": "parameters of core-metrics-extractor",
  "kv-cache-usage-percentage-metric": "parameters of core-metrics-extractor",
  "lora-info-metric": "parameters of core-metrics-extractor",
  "cache-info-metric": "parameters of core-metrics-extractor",
  "model-server-metrics-port": "parameters of metrics-data-source",
  "model-server-metrics-path": "parameters of metrics-data-source",
  "model-server-metrics-scheme": "parameters of metrics-data-source",
  "model-server-metrics-https-insecure-skip-verify": "parameters of metrics-data-source",
};

const WITHOUT_EFFECT: FlagNotes["withoutEffect"] = {
  "ha-enable-leader-election": "all replicas serve, there is no leader",
  "tls-cipher-suites": "the runtime's cipher suites are used",
  "metrics-cert-dir": "the metrics port speaks plain HTTP",
  "metrics-client-ca-file": "the metrics port speaks plain HTTP",
  "grpc-max-send-msg-size": "answers are sent in parts of at most 62,000 bytes",
  "destination-endpoint-hint-key": "the protocol fixes the name",
  "destination-endpoint-hint-metadata-namespace": "the protocol fixes the name",
};

const NOTES: FlagNotes = { deprecated: DEPRECATED, withoutEffect: WITHOUT_EFFECT };

const TLS_VERSIONS = {
  VersionTLS10: "TLSv1",
  VersionTLS11: "TLSv1.1",
  VersionTLS12: "TLSv1.2",
  VersionTLS13: "TLSv1.3",
} as const;
/**
 * Envoy puts whatever it has read of a body into one message, and a body that it buffers whole; a message that is too large
 * costs the request even where the picker may fail. So the default is the largest body and room for the rest.
 */
const DEFAULT_MESSAGE_BYTES = 65 * 1024 * 1024;
/** Beyond any prompt of a million tokens, and a bound for one stream's memory. */
const DEFAULT_BODY_BYTES = 64 * 1024 * 1024;
/** Shortest time between two reads of an endpoint's metrics. */
const MIN_REFRESH_MS = 50;
const DEFAULT_POOL_GROUP = "inference.networking.k8s.io";

/** Reads the scheduler's command line. All errors are told at once. */
export function parseSchedulerFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedOptions {
  const raw = splitFlags(args, FLAGS);
  const flags = new FlagReader(raw);
  const options = readOptions(flags, env, raw.errors);
  return { options, warnings: warningsOf(flags), errors: raw.errors, help: raw.help };
}

/** The text of `--help`. */
export function schedulerUsage(): string {
  return usageText("llmisvc scheduler: endpoint picker for the pods of an InferencePool", FLAGS, NOTES);
}

function warningsOf(flags: FlagReader): string[] {
  const refreshMs = flags.duration("refresh-metrics-interval", MIN_REFRESH_MS);
  return [
    ...(refreshMs < MIN_REFRESH_MS
      ? [`--refresh-metrics-interval of ${refreshMs}ms is too short: ${MIN_REFRESH_MS}ms are used`]
      : []),
    ...noteWarnings(flags, NOTES),
  ];
}

function readOptions(
  flags: FlagReader,
  env: Readonly<Record<string, string | undefined>>,
  errors: string[],
): SchedulerOptions {
  const configFile = flags.text("config-file");
  const configText = flags.text("config-text");
  if (configFile !== undefined && configText !== undefined)
    errors.push("--config-file and --config-text cannot be set at the same time; remove one");
  return {
    source: readSource(flags, env, errors),
    grpcPort: flags.port("grpc-port", 9002),
    healthPort: flags.port("grpc-health-port", 9003),
    metricsPort: flags.port("metrics-port", 9090),
    configFile,
    configText,
    secureServing: flags.bool("secure-serving", true),
    certPath: flags.text("cert-path"),
    certReload: flags.bool("enable-cert-reload", false),
    tlsMinVersion: readTlsVersion(flags, errors),
    healthChecking: flags.bool("health-checking", false),
    profiling: flags.bool("enable-pprof", true),
    streamMetrics: flags.bool("enable-grpc-stream-metrics", false),
    tracing: flags.bool("tracing", true),
    metricsAuth: flags.bool("metrics-endpoint-auth", true),
    verbosity: readVerbosity(flags, errors),
    logFormat: flags.text("zap-encoder") === "console" ? "console" : "json",
    drainTimeoutMs: flags.duration("drain-timeout", 30_000),
    maxReceiveBytes: flags.bytes("grpc-max-recv-msg-size", DEFAULT_MESSAGE_BYTES),
    refreshMetricsMs: flags.duration("refresh-metrics-interval", 50),
    refreshPoolMetricsMs: flags.duration("refresh-prometheus-metrics-interval", 5000),
    stalenessMs: flags.duration("metrics-staleness-threshold", 2000),
    maxBodyBytes: flags.bytes("max-request-body-size", DEFAULT_BODY_BYTES),
    maxHeldBytes: flags.bytes("max-held-bytes", 0) || undefined,
    assumedBodyMode: readBodyMode(flags, errors),
    ignoreSubset: flags.bool("disable-endpoint-subset-filter", false),
    emitScores: flags.bool("emit-endpoint-scores", false),
    decisionSampling: readSampling(flags, errors),
    allowExperimental: flags.bool("allow-experimental-plugins", false),
    pluginModules: readPluginModules(flags, env),
    modelServerMetrics: readModelServerMetrics(flags, errors),
  };
}

/** Modules come from whoever starts the process alone: a configuration cannot name code. */
function readPluginModules(flags: FlagReader, env: Readonly<Record<string, string | undefined>>): readonly string[] {
  if (flags.has("plugin-module")) return flags.list("plugin-module");
  return (env["LLMISVC_PLUGIN_MODULES"] ?? "").split(",").filter((path) => path !== "");
}

function readModelServerMetrics(flags: FlagReader, errors: string[]): ModelServerMetricsFlags {
  const metric = (name: string): string | undefined => {
    const text = flags.given(name);
    const { problem } = readMetricSpec(text ?? "");
    if (problem !== undefined) errors.push(`--${name}: ${problem}; write a metric like name or name{label=value}`);
    return text;
  };
  const given = <T>(name: string, value: T): T | undefined => (flags.text(name) === undefined ? undefined : value);
  const [port, insecure] = ["model-server-metrics-port", "model-server-metrics-https-insecure-skip-verify"] as const;
  return {
    port: flags.port(port, 0) || undefined,
    path: flags.text("model-server-metrics-path"),
    scheme: flags.text("model-server-metrics-scheme"),
    insecureSkipVerify: given(insecure, flags.bool(insecure, true)),
    waiting: metric("total-queued-requests-metric"),
    running: metric("total-running-requests-metric"),
    kvUsage: metric("kv-cache-usage-percentage-metric"),
    lora: metric("lora-info-metric"),
    cacheInfo: metric("cache-info-metric"),
  };
}

function readSource(
  flags: FlagReader,
  env: Readonly<Record<string, string | undefined>>,
  errors: string[],
): PoolSource {
  const name = flags.text("pool-name");
  const selector = flags.text("endpoint-selector");
  const namespace = flags.text("pool-namespace") ?? (env.NAMESPACE || "default");
  if ((name === undefined) === (selector === undefined))
    errors.push("either --pool-name or --endpoint-selector must be set; set exactly one of them");
  if (selector === undefined)
    return { kind: "pool", name: name ?? "", namespace, group: flags.text("pool-group") ?? DEFAULT_POOL_GROUP };
  // The API server knows `key>1` and `key<1`, too.
  const terms = selector.split(",").filter((term) => !/^\s*[\w./-]+\s*[<>]\s*-?\d+\s*$/.test(term));
  if (terms.length > 0 && parseSelectorText(terms.join(",")) === undefined)
    errors.push(`--endpoint-selector: invalid endpoint-selector "${selector}"; write it like a=b,c in (d,e)`);
  return { kind: "selector", selector, namespace, targetPorts: readTargetPorts(flags, errors) };
}

function readTargetPorts(flags: FlagReader, errors: string[]): number[] {
  const ports = [...new Set(flags.list("endpoint-target-ports").map((text) => parsePort(text) ?? Number.NaN))];
  if (ports.some(Number.isNaN))
    errors.push("--endpoint-target-ports: invalid port number; write ports from 0 to 65535");
  if (ports.length < 1 || ports.length > 8)
    errors.push(`--endpoint-target-ports: should have length from 1 to 8, got ${ports.length}`);
  return ports;
}

function readSampling(flags: FlagReader, errors: string[]): number {
  const text = flags.text("decision-sampling") ?? "0";
  const share = Number(text);
  if (text.trim() !== "" && share >= 0 && share <= 1) return share;
  errors.push(`--decision-sampling: invalid value "${text}"; write a number from 0 to 1`);
  return 0;
}

function readTlsVersion(flags: FlagReader, errors: string[]): SchedulerOptions["tlsMinVersion"] {
  const text = flags.text("tls-min-version");
  if (text === undefined) return undefined;
  const entry = Object.entries(TLS_VERSIONS).find(([name]) => name === text);
  if (entry === undefined)
    errors.push(`--tls-min-version: invalid value "${text}"; write one of ${Object.keys(TLS_VERSIONS).join(", ")}`);
  return entry?.[1];
}

/** Body modes as Envoy's configuration spells them, by their number in its API. */
const BODY_MODES = ["NONE", "STREAMED", "BUFFERED", "BUFFERED_PARTIAL", "FULL_DUPLEX_STREAMED"];

function readBodyMode(flags: FlagReader, errors: string[]): number {
  const text = flags.text("assumed-body-mode") ?? "FULL_DUPLEX_STREAMED";
  const mode = BODY_MODES.indexOf(text.toUpperCase());
  if (mode < 0)
    errors.push(`--assumed-body-mode: invalid value ${JSON.stringify(text)}; write one of ${BODY_MODES.join(", ")}`);
  return mode;
}
