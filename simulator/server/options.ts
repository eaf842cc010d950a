import { LLAMA_8B_H100, LLAMA_8B_NDR, type StepCosts, type TransferCosts } from "../engine/step-costs.ts";

/** An adapter that the simulated server has loaded. */
export interface LoraModule {
  readonly name: string;
  readonly path: string;
}

/** Latencies stated by flags, in milliseconds; they replace the cost model of the engine. */
export interface StatedLatency {
  readonly timeToFirstTokenMs: number;
  readonly timeToFirstTokenStdDevMs: number;
  readonly interTokenLatencyMs: number;
  readonly interTokenLatencyStdDevMs: number;
  readonly prefillOverheadMs: number;
  readonly prefillTimePerTokenMs: number;
}

/** Times stated by flags for the transfer of a prompt from another engine, in milliseconds: constant, else by its tokens. */
export interface StatedTransfer {
  readonly latencyMs: number;
  readonly latencyStdDevMs: number;
  readonly timePerTokenMs: number;
  readonly timeStdDevMs: number;
}

/** Resolved settings of one simulated model server. */
export interface SimulatorOptions {
  readonly host: string;
  readonly port: number;
  readonly model: string;
  readonly servedModelNames: readonly string[];
  readonly loraModules: readonly LoraModule[];
  readonly maxLoras: number;
  readonly maxModelLen: number;
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
  readonly maxWaitingQueueLength: number;
  readonly numGpuBlocks: number;
  readonly blockSize: number;
  readonly enablePrefixCaching: boolean;
  readonly mode: "random" | "echo";
  readonly seed: number;
  readonly startupDurationMs: number;
  readonly maxRequestBodyBytes: number;
  /** Factor on step durations when the batch is full, 1 or more. */
  readonly timeFactorUnderLoad: number;
  readonly costs: StepCosts;
  readonly statedLatency: StatedLatency | undefined;
  readonly transferCosts: TransferCosts;
  /** Replaces `transferCosts`; with stated latencies and nothing said of transfers these take no time. */
  readonly statedTransfer: StatedTransfer | undefined;
  /** Share of a prompt, 0 to 1, that has to be cached where a request says nothing else. */
  readonly cacheHitThreshold: number;
  readonly sslCertfile: string | undefined;
  readonly sslKeyfile: string | undefined;
  /** Whether changes of these files are followed. */
  readonly sslRefresh: boolean;
}

/** What the flags said: the settings, and what was not understood or is wrong. */
export interface ParsedFlags {
  readonly options: SimulatorOptions;
  /** Flags that are accepted and have no effect. */
  readonly warnings: readonly string[];
  readonly errors: readonly string[];
}

type RawFlags = ReadonlyMap<string, readonly string[]>;

/** Flags that simulate something; every other flag of vLLM is accepted with a warning. */
const KNOWN = new Set([
  "host",
  "port",
  "model",
  "served-model-name",
  "lora-modules",
  "max-loras",
  "max-model-len",
  "max-num-seqs",
  "max-num-batched-tokens",
  "max-waiting-queue-length",
  "num-gpu-blocks-override",
  "kv-cache-size",
  "block-size",
  "enable-prefix-caching",
  "mode",
  "seed",
  "startup-duration",
  "max-request-body-size-mb",
  "time-factor-under-load",
  "time-to-first-token",
  "time-to-first-token-std-dev",
  "inter-token-latency",
  "inter-token-latency-std-dev",
  "prefill-overhead",
  "prefill-time-per-token",
  "kv-cache-transfer-latency",
  "kv-cache-transfer-latency-std-dev",
  "kv-cache-transfer-time-per-token",
  "kv-cache-transfer-time-std-dev",
  "global-cache-hit-threshold",
  "ssl-certfile",
  "ssl-keyfile",
  "enable-ssl-refresh",
  "v",
]);

/**
 * Reads the command line of `vllm serve` or of llm-d-inference-sim: `--name value`, `--name=value`, `--no-name`, dashes
 * or underscores, `serve MODEL` or `--model MODEL`. Empty arguments are skipped.
 */
export function parseSimulatorFlags(args: readonly string[], defaultHost: string): ParsedFlags {
  const { flags, positional } = splitFlags(args);
  const errors: string[] = [];
  const reader = createReader(flags, errors);
  const model = reader.text("model") ?? positional.find((word) => word !== "serve");
  if (model === undefined) errors.push("--model: missing; name the model to serve, as in --model facebook/opt-125m");
  const warnings = [...flags.keys()].filter((name) => !KNOWN.has(name)).map((name) => `--${name} has no effect here`);
  return { options: resolveOptions(reader, flags, model ?? "", defaultHost), warnings, errors };
}

function resolveOptions(reader: Reader, flags: RawFlags, model: string, defaultHost: string): SimulatorOptions {
  const latency = statedLatency(reader);
  const served = (flags.get("served-model-name") ?? [])
    .flatMap((value) => value.split(/\s+/))
    .filter((name) => name !== "");
  return {
    host: reader.text("host") ?? defaultHost,
    port: reader.count("port", 8000),
    model,
    servedModelNames: served.length > 0 ? served : [model],
    loraModules: (flags.get("lora-modules") ?? []).flatMap(parseLoraModule),
    maxLoras: reader.count("max-loras", 1),
    maxModelLen: reader.count("max-model-len", 32_768),
    maxNumSeqs: reader.count("max-num-seqs", 256),
    maxNumBatchedTokens: reader.count("max-num-batched-tokens", 8192),
    maxWaitingQueueLength: reader.count("max-waiting-queue-length", 1000),
    numGpuBlocks: reader.count("num-gpu-blocks-override", reader.count("kv-cache-size", 29_205)),
    blockSize: reader.count("block-size", 16),
    enablePrefixCaching: reader.flag("enable-prefix-caching", true),
    mode: reader.text("mode") === "echo" ? "echo" : "random",
    seed: reader.count("seed", 0),
    startupDurationMs: reader.duration("startup-duration") ?? 0,
    maxRequestBodyBytes: reader.count("max-request-body-size-mb", 64) * 1024 * 1024,
    timeFactorUnderLoad: Math.max(1, reader.number("time-factor-under-load") ?? 1),
    costs: LLAMA_8B_H100,
    statedLatency: latency,
    transferCosts: LLAMA_8B_NDR,
    statedTransfer: statedTransfer(reader, latency !== undefined),
    cacheHitThreshold: reader.share("global-cache-hit-threshold", 0),
    sslCertfile: reader.text("ssl-certfile"),
    sslKeyfile: reader.text("ssl-keyfile"),
    sslRefresh: reader.flag("enable-ssl-refresh", false),
  };
}

function statedLatency(reader: Reader): StatedLatency | undefined {
  const stated = {
    timeToFirstTokenMs: reader.duration("time-to-first-token"),
    timeToFirstTokenStdDevMs: reader.duration("time-to-first-token-std-dev"),
    interTokenLatencyMs: reader.duration("inter-token-latency"),
    interTokenLatencyStdDevMs: reader.duration("inter-token-latency-std-dev"),
    prefillOverheadMs: reader.duration("prefill-overhead"),
    prefillTimePerTokenMs: reader.duration("prefill-time-per-token"),
  };
  if (Object.values(stated).every((value) => value === undefined)) return undefined;
  const filled = Object.entries(stated).map(([name, value]) => [name, value ?? 0]);
  return Object.fromEntries(filled) as StatedLatency;
}

function statedTransfer(reader: Reader, always: boolean): StatedTransfer | undefined {
  const [latency, latencyStdDev, timePerToken, timeStdDev] = [
    "kv-cache-transfer-latency",
    "kv-cache-transfer-latency-std-dev",
    "kv-cache-transfer-time-per-token",
    "kv-cache-transfer-time-std-dev",
  ].map((name) => reader.duration(name));
  if (!always && latency === undefined && timePerToken === undefined) return undefined;
  return {
    latencyMs: latency ?? 0,
    latencyStdDevMs: latencyStdDev ?? 0,
    timePerTokenMs: timePerToken ?? 0,
    timeStdDevMs: timeStdDev ?? 0,
  };
}

function splitFlags(args: readonly string[]): { flags: Map<string, string[]>; positional: string[] } {
  const flags = new Map<string, string[]>();
  const positional: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const word = args[index]!;
    const match = /^--?([A-Za-z][\w.-]*)(?:=([\s\S]*))?$/.exec(word);
    if (match === null) {
      if (word !== "") positional.push(word);
      continue;
    }
    const name = match[1]!.replaceAll("_", "-");
    const values = match[2] === undefined ? takeValues(args, index + 1, name) : [match[2]];
    if (match[2] === undefined) index += values.length;
    if (name.startsWith("no-")) flags.set(name.slice(3), ["false"]);
    else flags.set(name, [...(name === "lora-modules" ? (flags.get(name) ?? []) : []), ...values]);
  }
  return { flags, positional };
}

/** The words after a flag that belong to it: all up to the next flag for lists, else at most one. */
function takeValues(args: readonly string[], start: number, name: string): string[] {
  const many = name === "served-model-name" || name === "lora-modules";
  const values: string[] = [];
  for (const word of args.slice(start)) {
    if (/^--?[A-Za-z]/.test(word) || (!many && values.length === 1)) break;
    values.push(word);
  }
  return values;
}

function parseLoraModule(text: string): LoraModule[] {
  if (!text.startsWith("{")) {
    const [name = "", path = ""] = text.split("=", 2);
    return name === "" ? [] : [{ name, path }];
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || !("name" in value) || typeof value.name !== "string") return [];
  return [{ name: value.name, path: "path" in value && typeof value.path === "string" ? value.path : "" }];
}

interface Reader {
  text(name: string): string | undefined;
  number(name: string): number | undefined;
  count(name: string, fallback: number): number;
  share(name: string, fallback: number): number;
  flag(name: string, fallback: boolean): boolean;
  duration(name: string): number | undefined;
}

const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, µs: 0.001, ms: 1, s: 1000, m: 60_000, "": 1 };

function createReader(flags: RawFlags, errors: string[]): Reader {
  const text = (name: string) => flags.get(name)?.[0];
  const number = (name: string): number | undefined => {
    const value = text(name);
    if (value === undefined || (value !== "" && Number.isFinite(Number(value))))
      return value === undefined ? value : Number(value);
    errors.push(`--${name}: invalid value ${JSON.stringify(value)}: not a number`);
    return undefined;
  };
  return {
    text,
    number,
    count: (name, fallback) => number(name) ?? fallback,
    share: (name, fallback) => {
      const value = number(name) ?? fallback;
      if (value >= 0 && value <= 1) return value;
      errors.push(`--${name}: invalid value "${value}": write a share from 0 to 1`);
      return fallback;
    },
    flag: (name, fallback) => (flags.has(name) ? !["false", "0", "f"].includes(text(name) ?? "true") : fallback),
    duration: (name) => {
      const value = text(name);
      if (value === undefined) return undefined;
      const match = /^([\d.]+)(us|µs|ms|s|m|)$/.exec(value);
      if (match !== null) return Number(match[1]) * UNIT_MS[match[2]!]!;
      errors.push(`--${name}: invalid value ${JSON.stringify(value)}: write a duration such as 100ms`);
      return undefined;
    },
  };
}
