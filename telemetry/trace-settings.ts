/** How spans leave the process. */
export type TraceExporter = "otlp" | "console";

/** What the environment says about tracing. */
export interface TraceSettings {
  readonly exporter: TraceExporter;
  /** Share of the requests without a caller's decision that are traced, 0 to 1. */
  readonly ratio: number;
  /** Whether a caller's decision counts. */
  readonly followsParent: boolean;
  /** Where spans go when no variable of the OTLP exporter says it. */
  readonly defaultUrl: string | undefined;
  /** `service.name`. */
  readonly serviceName: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_RATIO = 0.1;
const DEFAULT_SERVICE = "llm-d-epp";
const DEFAULT_URL = "http://localhost:4317";

/** Samplers of the OpenTelemetry specification: whether they follow the caller, and the ratio where it is fixed. */
const SAMPLERS: Readonly<Record<string, { readonly followsParent: boolean; readonly ratio?: number }>> = {
  always_on: { followsParent: false, ratio: 1 },
  always_off: { followsParent: false, ratio: 0 },
  traceidratio: { followsParent: false },
  parentbased_always_on: { followsParent: true, ratio: 1 },
  parentbased_always_off: { followsParent: true, ratio: 0 },
  parentbased_traceidratio: { followsParent: true },
};

/**
 * Reads the `OTEL_*` variables (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables). Undefined where no
 * exporter is asked for, by name or by an OTLP endpoint. What cannot be used is told to `warn`, and its default taken.
 */
export function traceSettings(env: Environment, warn: (text: string) => void): TraceSettings | undefined {
  const exporter = exporterOf(env, warn);
  if (exporter === undefined) return undefined;
  const isPlaced = Object.entries(env).some(
    ([name, value]) => /^OTEL_EXPORTER_OTLP_(?:TRACES_)?(?:ENDPOINT|INSECURE|CERTIFICATE)$/.test(name) && value !== "",
  );
  return {
    exporter,
    ...samplerOf(env, warn),
    defaultUrl: isPlaced ? undefined : DEFAULT_URL,
    serviceName: env.OTEL_SERVICE_NAME || DEFAULT_SERVICE,
  };
}

function exporterOf(env: Environment, warn: (text: string) => void): TraceExporter | undefined {
  const name = env.OTEL_TRACES_EXPORTER ?? "";
  if (env.OTEL_SDK_DISABLED === "true" || name === "none") return undefined;
  if (name === "otlp" || name === "console") return name;
  if (name !== "") {
    warn(`OTEL_TRACES_EXPORTER: "${name}" is not supported; write otlp, console or none`);
    return undefined;
  }
  return env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ? "otlp" : undefined;
}

function samplerOf(
  env: Environment,
  warn: (text: string) => void,
): { readonly ratio: number; readonly followsParent: boolean } {
  const name = env.OTEL_TRACES_SAMPLER || "parentbased_traceidratio";
  const sampler = SAMPLERS[name];
  if (sampler === undefined) warn(`OTEL_TRACES_SAMPLER: "${name}" is not supported; parentbased_traceidratio is used`);
  const { followsParent = true, ratio } = sampler ?? {};
  return { followsParent, ratio: ratio ?? ratioOf(env.OTEL_TRACES_SAMPLER_ARG, warn) };
}

function ratioOf(text: string | undefined, warn: (text: string) => void): number {
  if (text === undefined || text === "") return DEFAULT_RATIO;
  const ratio = Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  warn(`OTEL_TRACES_SAMPLER_ARG: "${text}" is no ratio; write a number from 0 to 1`);
  return DEFAULT_RATIO;
}
