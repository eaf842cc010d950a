import { parseArgs } from "node:util";
import type { OperatorSettings } from "../../controllers/llminferenceservice/pass.ts";

/** Text of `--help`. */
export const OPERATOR_USAGE = `llmisvc operator: reconciles LLMInferenceServices

  --webhook-port N           port of the admission and conversion webhooks (default 9443)
  --health-probe-addr ADDR   address of /healthz, /readyz and /metrics (default :8081)
  --leader-elect             reconcile only while holding the Lease
  --profiling                serve CPU profiles and heap snapshots below /debug/pprof of the probe address
  --scheduler-image IMAGE    image of schedulers in place of the presets' own
  -v N                       verbosity of the log, 0 to 5 (default 2)
  --zap-encoder FORMAT       json or console (default json)

Environment: POD_NAMESPACE, LLM_INFERENCE_SERVICE_CONFIG_PREFIX, LLM_INFERENCE_SERVICE_VERSIONED_CONFIG,
PREVENT_WELL_KNOWN_CONFIG_DELETION, GATEWAY_API_WILDCARD_HOSTNAME, CLUSTER_DOMAIN.
`;

/** Settings of the operator process. */
export interface OperatorFlags {
  readonly webhook: { readonly host: string; readonly port: number };
  readonly health: { readonly host: string; readonly port: number };
  readonly leaderElect: boolean;
  /** Whether profiles are served. */
  readonly profiling: boolean;
  readonly images: Readonly<Record<string, string>>;
  readonly verbosity: number;
  readonly logFormat: "json" | "console";
  readonly settings: OperatorSettings;
  readonly presetPrefix: string | undefined;
  readonly pinned: boolean;
  readonly protectPresets: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Flags of KServe's manager that have no meaning here; accepted so that its manifests start this operator. */
const ACCEPTED = [
  "metrics-addr",
  "tls-min-version",
  "tls-cipher-suites",
  "storage-migration-timeout",
  "storage-migration-poll-interval",
  "zap-log-level",
  "zap-stacktrace-level",
  "zap-time-encoding",
] as const;
const ACCEPTED_SWITCHES = ["metrics-secure", "enable-http2", "zap-devel"] as const;

/** Go's spelling of booleans; anything else is false, as the reference reads it. */
const goBoolean = (text: string | undefined, fallback: boolean): boolean =>
  text === undefined || text === "" ? fallback : /^(1|t|T|true|TRUE|True)$/.test(text);

/** Reads flags (also with one dash, as Go takes them) and environment; all errors at once. */
export function parseOperatorFlags(
  args: readonly string[],
  env: Environment,
): { readonly options: OperatorFlags; readonly errors: readonly string[]; readonly help: boolean } {
  const errors: string[] = [];
  const { values, tokens } = parseArgs({
    args: args.map((arg) => arg.replace(/^--?v(?==|$)/, "--verbosity").replace(/^-(?=\w{2})/, "--")),
    strict: false,
    tokens: true,
    options: {
      "webhook-port": { type: "string" },
      "health-probe-addr": { type: "string" },
      "leader-elect": { type: "boolean" },
      profiling: { type: "boolean" },
      "scheduler-image": { type: "string" },
      "zap-encoder": { type: "string" },
      verbosity: { type: "string", short: "v" },
      help: { type: "boolean", short: "h" },
      ...Object.fromEntries(ACCEPTED.map((name) => [name, { type: "string" as const }])),
      ...Object.fromEntries(ACCEPTED_SWITCHES.map((name) => [name, { type: "boolean" as const }])),
    },
  });
  const known = /^(webhook-port|health-probe-addr|leader-elect|profiling|scheduler-image|zap-encoder|verbosity|help)$/;
  const accepted = new Set<string>([...ACCEPTED, ...ACCEPTED_SWITCHES]);
  for (const token of tokens)
    if (token.kind === "option" && !known.test(token.name) && !accepted.has(token.name))
      errors.push(`${token.rawName}: unknown flag; --help lists the flags`);
  const text = (name: string): string | undefined => (typeof values[name] === "string" ? values[name] : undefined);
  const host = env["LLMISVC_BIND_ADDRESS"] ?? "0.0.0.0";
  const port = (name: string, value: string): number => {
    const number = Number(value);
    if (!Number.isInteger(number) || number < 0 || number > 65_535)
      errors.push(`--${name}: "${value}" is not a port; give a number from 0 to 65535`);
    return number;
  };
  const probe = text("health-probe-addr") ?? ":8081";
  const colon = probe.lastIndexOf(":");
  const image = text("scheduler-image");
  const encoder = text("zap-encoder") ?? "json";
  if (encoder !== "json" && encoder !== "console")
    errors.push(`--zap-encoder: "${encoder}" is not known; use json or console`);
  const verbosity = Number(text("verbosity") ?? "2");
  if (!Number.isInteger(verbosity))
    errors.push(`-v: "${text("verbosity")}" is not a verbosity; give a number from 0 to 5`);
  const options: OperatorFlags = {
    webhook: { host, port: port("webhook-port", text("webhook-port") ?? "9443") },
    health: { host: probe.slice(0, colon) || host, port: port("health-probe-addr", probe.slice(colon + 1)) },
    leaderElect: values["leader-elect"] === true,
    profiling: values["profiling"] === true,
    images: image === undefined ? {} : { "llmisvc-scheduler": image },
    verbosity,
    logFormat: encoder === "console" ? "console" : "json",
    settings: {
      systemNamespace: env["POD_NAMESPACE"] ?? "kserve",
      clusterDomain: env["CLUSTER_DOMAIN"] ?? "cluster.local",
      wildcardHostname: env["GATEWAY_API_WILDCARD_HOSTNAME"] ?? "inference",
    },
    presetPrefix: env["LLM_INFERENCE_SERVICE_CONFIG_PREFIX"],
    pinned: goBoolean(env["LLM_INFERENCE_SERVICE_VERSIONED_CONFIG"], true),
    protectPresets: goBoolean(env["PREVENT_WELL_KNOWN_CONFIG_DELETION"], true),
  };
  return { options, errors, help: values["help"] === true };
}
