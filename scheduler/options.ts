import { VERBOSITY } from "../telemetry/log.ts";
import { FlagReader, type FlagTable, parsePort, splitFlags } from "./flags.ts";

/** Where the endpoints come from. */
export type PoolSource =
  | { readonly kind: "pool"; readonly name: string; readonly namespace: string; readonly group: string }
  | {
      readonly kind: "selector";
      readonly selector: string;
      readonly targetPorts: readonly number[];
      readonly namespace: string;
    };

/** Where and how the model servers' metrics are read, as far as flags say it; configuration wins over them. */
export interface ModelServerMetricsFlags {
  readonly port: number | undefined;
  readonly path: string | undefined;
  readonly scheme: string | undefined;
  readonly insecureSkipVerify: boolean | undefined;
  /** Metric specs such as `vllm:num_requests_waiting`. */
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
  readonly metricsAuth: boolean;
  readonly verbosity: number;
  readonly logFormat: "json" | "console";
  readonly drainTimeoutMs: number;
  readonly maxReceiveBytes: number;
  readonly refreshMetricsMs: number;
  readonly refreshPoolMetricsMs: number;
  readonly stalenessMs: number;
  readonly ignoreSubset: boolean;
  readonly emitScores: boolean;
  readonly allowExperimental: boolean;
  readonly modelServerMetrics: ModelServerMetricsFlags;
}

/** What a command line says. With errors the options are not to be used. */
export interface ParsedOptions {
  readonly options: SchedulerOptions;
  readonly warnings: readonly string[];
  readonly errors: readonly string[];
}

/** Every flag of the endpoint pickers of v0.4.0 to v0.10. */
const FLAGS: FlagTable = {
  "grpc-port": "int",
  "grpc-health-port": "int",
  "metrics-port": "int",
  "pool-name": "text",
  "pool-namespace": "text",
  "pool-group": "text",
  "endpoint-selector": "text",
  "endpoint-target-ports": "list",
  "config-file": "text",
  "config-text": "text",
  "secure-serving": "bool",
  "cert-path": "text",
  "enable-cert-reload": "bool",
  "tls-min-version": "text",
  "tls-cipher-suites": "list",
  "health-checking": "bool",
  "metrics-endpoint-auth": "bool",
  "metrics-cert-dir": "text",
  "metrics-client-ca-file": "text",
  "enable-pprof": "bool",
  tracing: "bool",
  v: "int",
  "zap-devel": "bool",
  "zap-encoder": "text",
  "zap-log-level": "text",
  "zap-stacktrace-level": "text",
  "zap-time-encoding": "text",
  "ha-enable-leader-election": "bool",
  "drain-timeout": "duration",
  "grpc-max-recv-msg-size": "bytes",
  "grpc-max-send-msg-size": "bytes",
  "refresh-metrics-interval": "duration",
  "refresh-prometheus-metrics-interval": "duration",
  "metrics-staleness-threshold": "duration",
  "disable-endpoint-subset-filter": "bool",
  "emit-endpoint-scores": "bool",
  "enable-grpc-stream-metrics": "bool",
  "allow-experimental-plugins": "bool",
  "total-queued-requests-metric": "text",
  "total-running-requests-metric": "text",
  "kv-cache-usage-percentage-metric": "text",
  "lora-info-metric": "text",
  "cache-info-metric": "text",
  "model-server-metrics-port": "int",
  "model-server-metrics-path": "text",
  "model-server-metrics-scheme": "text",
  "model-server-metrics-https-insecure-skip-verify": "bool",
  "destination-endpoint-hint-key": "text",
  "destination-endpoint-hint-metadata-namespace": "text",
};

/** Flags that still work, and what replaces them. */
const DEPRECATED: Readonly<Record<string, string>> = {
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

/** Flags that are read and change nothing, and why. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  "ha-enable-leader-election": "all replicas serve, there is no leader",
  "tls-cipher-suites": "the runtime's cipher suites are used",
  "metrics-cert-dir": "the metrics port speaks plain HTTP",
  "metrics-client-ca-file": "the metrics port speaks plain HTTP",
  "destination-endpoint-hint-key": "the protocol fixes the name",
  "destination-endpoint-hint-metadata-namespace": "the protocol fixes the name",
};

const TLS_VERSIONS = {
  VersionTLS10: "TLSv1",
  VersionTLS11: "TLSv1.1",
  VersionTLS12: "TLSv1.2",
  VersionTLS13: "TLSv1.3",
} as const;
const DEFAULT_MESSAGE_BYTES = 4 * 1024 * 1024;
const DEFAULT_POOL_GROUP = "inference.networking.k8s.io";

/** Reads the scheduler's command line. All errors are told at once. */
export function parseSchedulerFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedOptions {
  const raw = splitFlags(args, FLAGS);
  const flags = new FlagReader(raw);
  const options = readOptions(flags, env, raw.errors);
  return { options, warnings: warningsOf(flags), errors: raw.errors };
}

function warningsOf(flags: FlagReader): string[] {
  return [
    ...Object.entries(DEPRECATED).flatMap(([name, by]) =>
      flags.has(name) ? [`--${name} is deprecated: use ${by}`] : [],
    ),
    ...Object.entries(WITHOUT_EFFECT).flatMap(([name, why]) =>
      flags.has(name) ? [`--${name} has no effect: ${why}`] : [],
    ),
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
    metricsAuth: flags.bool("metrics-endpoint-auth", true),
    verbosity: readVerbosity(flags, errors),
    logFormat: flags.text("zap-encoder") === "console" ? "console" : "json",
    drainTimeoutMs: flags.duration("drain-timeout", 30_000),
    maxReceiveBytes: flags.bytes("grpc-max-recv-msg-size", DEFAULT_MESSAGE_BYTES),
    refreshMetricsMs: flags.duration("refresh-metrics-interval", 50),
    refreshPoolMetricsMs: flags.duration("refresh-prometheus-metrics-interval", 5000),
    stalenessMs: flags.duration("metrics-staleness-threshold", 2000),
    ignoreSubset: flags.bool("disable-endpoint-subset-filter", false),
    emitScores: flags.bool("emit-endpoint-scores", false),
    allowExperimental: flags.bool("allow-experimental-plugins", false),
    modelServerMetrics: readModelServerMetrics(flags),
  };
}

function readModelServerMetrics(flags: FlagReader): ModelServerMetricsFlags {
  const given = <T>(name: string, value: T): T | undefined => (flags.text(name) === undefined ? undefined : value);
  const [port, insecure] = ["model-server-metrics-port", "model-server-metrics-https-insecure-skip-verify"] as const;
  return {
    port: flags.port(port, 0) || undefined,
    path: flags.text("model-server-metrics-path"),
    scheme: flags.text("model-server-metrics-scheme"),
    insecureSkipVerify: given(insecure, flags.bool(insecure, true)),
    waiting: flags.text("total-queued-requests-metric"),
    running: flags.text("total-running-requests-metric"),
    kvUsage: flags.text("kv-cache-usage-percentage-metric"),
    lora: flags.text("lora-info-metric"),
    cacheInfo: flags.text("cache-info-metric"),
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

function readTlsVersion(flags: FlagReader, errors: string[]): SchedulerOptions["tlsMinVersion"] {
  const text = flags.text("tls-min-version");
  if (text === undefined) return undefined;
  const entry = Object.entries(TLS_VERSIONS).find(([name]) => name === text);
  if (entry === undefined)
    errors.push(`--tls-min-version: invalid value "${text}"; write one of ${Object.keys(TLS_VERSIONS).join(", ")}`);
  return entry?.[1];
}

const LOG_LEVELS: Readonly<Record<string, number>> = { error: 0, info: VERBOSITY.default, debug: VERBOSITY.debug };

/** `--zap-log-level`, by name or number, wins over `-v`; a negative verbosity is the default one. */
function readVerbosity(flags: FlagReader, errors: string[]): number {
  const level = flags.text("zap-log-level");
  const verbosity = flags.int("v", VERBOSITY.default);
  if (level === undefined) return verbosity < 0 ? VERBOSITY.default : verbosity;
  const named = LOG_LEVELS[level] ?? (/^\d+$/.test(level) ? Number(level) : undefined);
  if (named === undefined)
    errors.push(`--zap-log-level: invalid value "${level}"; write error, info, debug or a whole number`);
  return named ?? VERBOSITY.default;
}
