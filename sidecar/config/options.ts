import { readVerbosity } from "../../flags/verbosity.ts";
import { FlagReader, noteWarnings, parsePort, type RawFlags, splitFlags, usageText } from "../../flags/flags.ts";
import { mergeConfiguration } from "./configuration.ts";
import { FLAGS, MORIIO_FLAGS, NOTES, RENAMED, SWITCHES } from "./flag-table.ts";

/** How prefill pods and the decode pod exchange blocks. */
export const KV_CONNECTORS = ["nixlv2", "shared-storage", "lmcache", "sglang", "mooncake", "offloading"] as const;
/** How encoders hand their embeddings on; "" is no encoder stage. */
export const EC_CONNECTORS = ["", "ec-example", "ec-nixl"] as const;
/** Servers whose connections may be TLS. */
export const STAGES = ["prefiller", "decoder", "encoder"] as const;

export type KvConnector = (typeof KV_CONNECTORS)[number];
export type EcConnector = (typeof EC_CONNECTORS)[number];
export type Stage = (typeof STAGES)[number];

/** The pool whose pods may be asked. */
export interface PoolName {
  readonly namespace: string;
  readonly name: string;
  /** API group that is read first. */
  readonly group: string;
}

/** Configuration of the sidecar process. Times in milliseconds, sizes in bytes. */
export interface SidecarOptions {
  /** Port of rank 0; rank r listens on the port r above. */
  readonly port: number;
  readonly modelServerPort: number;
  readonly dataParallelSize: number;
  readonly kvConnector: KvConnector;
  readonly ecConnector: EcConnector;
  readonly mooncakeBootstrapPort: number;
  readonly sglangBootstrapPort: number;
  readonly p2pConnectorPort: number;
  readonly p2pPull: boolean;
  /** Whether clients are served by TLS. */
  readonly secureProxy: boolean;
  /** Folder of `tls.crt` and `tls.key`; undefined: self-signed. */
  readonly certPath: string | undefined;
  readonly tlsStages: ReadonlySet<Stage>;
  readonly unverifiedStages: ReadonlySet<Stage>;
  readonly prefillerSampling: boolean;
  /** Whether only pods of the pool may be asked. */
  readonly ssrfProtection: boolean;
  readonly pool: PoolName | undefined;
  readonly maxIdlePerHost: number;
  readonly prefillRetries: number;
  readonly prefillBackoffMs: number;
  readonly prefillFallback: "local" | "none";
  readonly maxBodyBytes: number;
  /** Tokens of one request to the engine; 0: all. */
  readonly decodeChunkTokens: number;
  readonly tracing: boolean;
  /** 0: none. */
  readonly metricsPort: number;
  /** Address of this pod, where it is known. */
  readonly podIp: string | undefined;
  readonly verbosity: number;
  readonly logFormat: "json" | "console";
}

/** What a command line says. With errors the options are not to be used. */
export interface ParsedSidecarOptions {
  readonly options: SidecarOptions;
  readonly warnings: readonly string[];
  readonly errors: readonly string[];
  /** Whether only the list of flags, or the version, is wanted. */
  readonly help: boolean;
  readonly version: boolean;
}

/** Environment of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_POOL_GROUP = "inference.networking.k8s.io";
/** As the scheduler takes them. */
const DEFAULT_BODY_BYTES = 64 * 1024 * 1024;
const MAX_RANKS = 256;

/** The text of `--help`. */
export function sidecarUsage(): string {
  return usageText("llmisvc sidecar: divides requests between prefill and decode pods", FLAGS, NOTES);
}

/**
 * Reads the command line, the configuration that it names, and the environment, in this order of weight. All errors are told at
 * once. `readFile` reads a configuration file; what it throws is an error of the command line.
 */
export function parseSidecarFlags(
  args: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
): ParsedSidecarOptions {
  const warnings: string[] = [];
  const given = mergeConfiguration(splitFlags(args, FLAGS), FLAGS, readFile);
  const flags = new FlagReader(given);
  warnings.push(...noteWarnings(flags, NOTES));
  const reader = new OptionReader(new FlagReader(renamed(given)), env, given.errors);
  const options = reader.read();
  return {
    options,
    warnings,
    errors: given.errors,
    help: given.help,
    version: flags.bool("version", false),
  };
}

/** The flags with former names replaced by those that hold now; a current name wins. */
function renamed({ values, errors, help }: RawFlags): RawFlags {
  const current = new Map(values);
  for (const [former, name] of Object.entries(RENAMED)) {
    const value = values.get(former);
    if (value !== undefined && value !== "" && !values.has(name)) current.set(name, value);
  }
  return { values: current, errors, help };
}

/** Reads each option. */
class OptionReader {
  readonly #flags: FlagReader;
  readonly #env: Environment;
  readonly #errors: string[];

  constructor(flags: FlagReader, env: Environment, errors: string[]) {
    this.#flags = flags;
    this.#env = env;
    this.#errors = errors;
  }

  read(): SidecarOptions {
    const flags = this.#flags;
    this.#refuseMoriio();
    const pool = this.#pool();
    const ssrfProtection = flags.bool("enable-ssrf-protection", false);
    if (ssrfProtection && pool === undefined)
      this.#errors.push("--enable-ssrf-protection needs a pool; write --inference-pool=NAMESPACE/NAME");
    const options: SidecarOptions = {
      port: this.#port("port", 8000),
      modelServerPort: this.#port("model-server-port", 8200),
      dataParallelSize: this.#count("data-parallel-size", 1, 1, MAX_RANKS),
      kvConnector: this.#choice("kv-connector", KV_CONNECTORS, "nixlv2"),
      ecConnector: this.#choice("ec-connector", EC_CONNECTORS, ""),
      mooncakeBootstrapPort: this.#port("mooncake-bootstrap-port", this.#envPort("MOONCAKE_BOOTSTRAP_PORT", 8998)),
      sglangBootstrapPort: this.#envPort("SGLANG_BOOTSTRAP_PORT", 8998),
      p2pConnectorPort: this.#port("p2p-connector-port", this.#envPort("P2P_CONNECTOR_PORT", 7777)),
      p2pPull: flags.bool("enable-p2p-pull", false),
      secureProxy: flags.bool("secure-proxy", true),
      certPath: flags.text("cert-path"),
      tlsStages: this.#stages("enable-tls"),
      unverifiedStages: this.#stages("tls-insecure-skip-verify"),
      prefillerSampling: flags.bool("enable-prefiller-sampling", this.#envBool("ENABLE_PREFILLER_SAMPLING")),
      ssrfProtection,
      pool,
      maxIdlePerHost: this.#count("max-idle-conns-per-host", 1024, 0),
      prefillRetries: this.#count("prefill-max-retries", 0, 0, 100),
      prefillBackoffMs: flags.duration("prefill-retry-backoff", 200),
      prefillFallback: this.#choice("prefill-fallback", ["local", "none"] as const, "local"),
      maxBodyBytes: flags.bytes("max-request-body-size", DEFAULT_BODY_BYTES),
      decodeChunkTokens: this.#count("decode-chunk-size", 0, 0),
      tracing: flags.bool("tracing", false),
      metricsPort: flags.port("metrics-port", 0),
      podIp: this.#env["POD_IP"] || undefined,
      verbosity: readVerbosity(flags, this.#errors),
      logFormat: flags.text("zap-encoder") === "console" ? "console" : "json",
    };
    this.#checkTogether(options);
    return options;
  }

  #checkTogether({ port, modelServerPort, dataParallelSize, p2pPull, kvConnector }: SidecarOptions): void {
    const last = Math.max(port, modelServerPort) + dataParallelSize - 1;
    if (last > 65_535)
      this.#errors.push(`--data-parallel-size: ports reach ${last}; write at most ${65_535} as the last`);
    if (Math.abs(port - modelServerPort) < dataParallelSize)
      this.#errors.push(
        `--model-server-port: ${modelServerPort} and the ranks above it meet the sidecar's own from --port ${port} on; keep --data-parallel-size (${dataParallelSize}) ports between them`,
      );
    if (p2pPull && kvConnector !== "nixlv2")
      this.#errors.push(`--enable-p2p-pull works with nixlv2, not with ${kvConnector}; write --kv-connector=nixlv2`);
  }

  #refuseMoriio(): void {
    for (const name of Object.keys(MORIIO_FLAGS))
      if (!["", "false", "0"].includes(this.#flags.text(name) ?? ""))
        this.#errors.push(`--${name}: MoRI-IO is not supported; take the flag out, or run llm-d's own sidecar for it`);
  }

  #choice<const T extends string>(name: string, known: readonly T[], fallback: T): T {
    const text = this.#flags.text(name) ?? fallback;
    const found = known.find((value) => value === text);
    if (found === undefined)
      this.#errors.push(
        `--${name}: invalid value ${JSON.stringify(text)}; write one of ${known.map((value) => value || '""').join(", ")}`,
      );
    return found ?? fallback;
  }

  #count(name: string, fallback: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.#flags.int(name, fallback);
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
    this.#errors.push(`--${name}: invalid value ${value}; write ${range}`);
    return fallback;
  }

  #port(name: string, fallback: number): number {
    const port = this.#flags.port(name, fallback);
    if (port === 0) this.#errors.push(`--${name}: invalid value 0; write a port from 1 to 65535`);
    return port;
  }

  #envPort(name: string, fallback: number): number {
    const text = this.#env[name];
    if (text === undefined || text === "") return fallback;
    const port = parsePort(text);
    if (port === undefined || port === 0)
      this.#errors.push(`$${name}: invalid value ${JSON.stringify(text)}; write a port from 1 to 65535`);
    return port ?? fallback;
  }

  #envBool(name: string): boolean {
    const text = (this.#env[name] ?? "").toLowerCase();
    const known = SWITCHES.get(text);
    if (known === undefined) this.#errors.push(`$${name}: invalid value ${JSON.stringify(text)}; write true or false`);
    return known ?? false;
  }

  /** A list of stages, and the former flags that each stood for one of them. */
  #stages(name: "enable-tls" | "tls-insecure-skip-verify"): ReadonlySet<Stage> {
    const listed = this.#flags.list(name).flatMap((text) => {
      const stage = STAGES.find((known) => known === text);
      if (stage === undefined)
        this.#errors.push(`--${name}: invalid value ${JSON.stringify(text)}; write one of ${STAGES.join(", ")}`);
      return stage ?? [];
    });
    const former = name === "enable-tls" ? "use-tls" : name;
    const switched = STAGES.filter((stage) => stage !== "encoder" && this.#flags.bool(`${stage}-${former}`, false));
    return new Set([...listed, ...switched]);
  }

  #pool(): PoolName | undefined {
    const group = this.#choice("pool-group", [DEFAULT_POOL_GROUP, "inference.networking.x-k8s.io"], DEFAULT_POOL_GROUP);
    const text = this.#flags.text("inference-pool") ?? (this.#env["INFERENCE_POOL"] || undefined);
    if (text !== undefined) return this.#poolOf(text, group);
    const name = this.#flags.text("inference-pool-name") ?? (this.#env["INFERENCE_POOL_NAME"] || undefined);
    const namespace =
      this.#flags.text("inference-pool-namespace") ?? (this.#env["INFERENCE_POOL_NAMESPACE"] || "default");
    return name === undefined ? undefined : { namespace, name, group };
  }

  #poolOf(text: string, group: string): PoolName | undefined {
    const parts = text.split("/");
    const [namespace, name] = parts.length === 1 ? ["default", parts[0]] : parts;
    if (parts.length <= 2 && namespace && name) return { namespace, name, group };
    this.#errors.push(`--inference-pool: invalid value ${JSON.stringify(text)}; write NAMESPACE/NAME`);
    return undefined;
  }
}
