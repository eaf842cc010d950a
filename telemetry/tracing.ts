import type { Context, Span as ApiSpan, SpanContext } from "@opentelemetry/api";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import { isTraced, parseTraceParent } from "./trace-context.ts";
import type { TraceSettings } from "./trace-settings.ts";

/** Characters of a span's value that are kept: some are named by clients. */
const MAX_VALUE_LENGTH = 1024;

/** Values of a span. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A piece of work of a traced request. */
export interface Span {
  /** A part of this work. */
  child(name: string, attributes?: SpanAttributes): Span;
  set(attributes: SpanAttributes): void;
  /** Notes that the work failed. */
  fail(error: unknown): void;
  end(): void;
  /** Headers that make the work of the next process a part of this one. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Traces requests of a process. */
export interface Tracing {
  /** A span for a request that carries these headers; undefined where it is not traced. */
  begin(name: string, traceparent: string | undefined, tracestate: string | undefined): Span | undefined;
  /** Sends what is held back, and stops. */
  close(): Promise<void>;
}

/** What tests put in place of the world. */
export interface TracingParts {
  readonly random?: () => number;
  /** Takes the spans, one by one, in place of the configured exporter. */
  readonly exporter?: SpanExporter;
}

/** Starts tracing. OpenTelemetry is loaded here: a process that does not trace never pays for it. */
export async function startTracing(settings: TraceSettings, parts: TracingParts = {}): Promise<Tracing> {
  const api = await import("@opentelemetry/api");
  const sdk = await import("@opentelemetry/sdk-trace");
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = await import(
    "@opentelemetry/resources"
  );
  const { exporter } = parts;
  const processor =
    exporter === undefined
      ? new sdk.BatchSpanProcessor({ exporter: await exporterOf(settings) })
      : new sdk.SimpleSpanProcessor({ exporter });
  const provider = new sdk.TracerProvider({
    resource: defaultResource()
      .merge(detectResources({ detectors: [envDetector] }))
      .merge(resourceFromAttributes({ "service.name": settings.serviceName })),
    sampler: new sdk.AlwaysOnSampler(),
    spanProcessors: [processor],
    spanLimits: { attributeValueLengthLimit: MAX_VALUE_LENGTH },
  });
  const tracer = provider.getTracer("llmisvc");
  const { random = Math.random } = parts;

  const wrap = (span: ApiSpan, context: Context): Span => ({
    child: (name, attributes) => {
      const part = tracer.startSpan(name, { kind: api.SpanKind.INTERNAL, ...(attributes && { attributes }) }, context);
      return wrap(part, api.trace.setSpan(context, part));
    },
    set: (attributes) => void span.setAttributes(attributes),
    fail: (error) => {
      span.recordException(error instanceof Error ? error : String(error));
      span.setStatus({ code: api.SpanStatusCode.ERROR });
    },
    end: () => span.end(),
    get headers() {
      return headersOf(span.spanContext());
    },
  });

  return {
    begin: (name, traceparent, tracestate) => {
      const parent = parseTraceParent(traceparent);
      if (!isTraced(parent, settings, random)) return undefined;
      let context = api.ROOT_CONTEXT;
      if (parent !== undefined) {
        const { traceId, spanId } = parent;
        const state = tracestate === undefined ? {} : { traceState: api.createTraceState(tracestate) };
        const remote = { traceId, spanId, traceFlags: api.TraceFlags.SAMPLED, isRemote: true, ...state };
        context = api.trace.setSpanContext(context, remote);
      }
      const span = tracer.startSpan(name, { kind: api.SpanKind.SERVER }, context);
      return wrap(span, api.trace.setSpan(context, span));
    },
    close: () => provider.shutdown(),
  };
}

async function exporterOf({ exporter, defaultUrl }: TraceSettings): Promise<SpanExporter> {
  if (exporter === "console") return new (await import("@opentelemetry/sdk-trace")).ConsoleSpanExporter();
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-grpc");
  return new OTLPTraceExporter(defaultUrl === undefined ? {} : { url: defaultUrl });
}

function headersOf({ traceId, spanId, traceFlags, traceState }: SpanContext): readonly (readonly [string, string])[] {
  const parent = ["traceparent", `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`] as const;
  const state = traceState?.serialize() ?? "";
  return state === "" ? [parent] : [parent, ["tracestate", state]];
}
