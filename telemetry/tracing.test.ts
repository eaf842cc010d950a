import { Server, ServerCredentials } from "@grpc/grpc-js";
import { describe, expect, test } from "@jest/globals";
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import { isTraced, parseTraceParent } from "./trace-context.ts";
import { type TraceSettings, traceSettings } from "./trace-settings.ts";
import { startTracing } from "./tracing.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const never = (): number => {
  throw new Error("chance was asked");
};

describe("traceparent", () => {
  test.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    [`00-${TRACE}-${SPAN}-03`, true],
    [`cc-${TRACE}-${SPAN}-01-more`, true],
  ])("%s is sampled: %s", (header, isSampled) => {
    expect(parseTraceParent(header)).toEqual({ traceId: TRACE, spanId: SPAN, isSampled });
  });

  test.each([
    undefined,
    "",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    "00-1-2-01",
  ])("%s is none", (header) => expect(parseTraceParent(header)).toBeUndefined());
});

test.each([
  ["the caller's yes", `00-${TRACE}-${SPAN}-01`, { ratio: 0, followsParent: true }, never, true],
  ["the caller's no", `00-${TRACE}-${SPAN}-00`, { ratio: 1, followsParent: true }, never, false],
  ["a caller that does not count", `00-${TRACE}-${SPAN}-00`, { ratio: 1, followsParent: false }, () => 0.5, true],
  ["chance, below the ratio", undefined, { ratio: 0.1, followsParent: true }, () => 0.09, true],
  ["chance, at the ratio", undefined, { ratio: 0.1, followsParent: true }, () => 0.1, false],
  ["a ratio of nothing", undefined, { ratio: 0, followsParent: true }, never, false],
])("whether a request is traced: %s", (_what, header, settings, random, expected) => {
  expect(isTraced(parseTraceParent(header), settings, random)).toBe(expected);
});

describe("the environment", () => {
  const otlp = { exporter: "otlp", ratio: 0.1, followsParent: true, defaultUrl: undefined, serviceName: "llm-d-epp" };
  test.each([
    ["nothing", {}, undefined],
    ["no exporter", { OTEL_TRACES_EXPORTER: "none", OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4317" }, undefined],
    ["switched off", { OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4317" }, undefined],
    ["an endpoint", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4317" }, otlp],
    ["an exporter alone", { OTEL_TRACES_EXPORTER: "otlp" }, { ...otlp, defaultUrl: "http://localhost:4317" }],
    ["insecure, no endpoint", { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_INSECURE: "true" }, otlp],
    [
      "as KServe writes it",
      {
        OTEL_SERVICE_NAME: "inference-scheduler",
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel-collector:4317",
        OTEL_TRACES_EXPORTER: "otlp",
        OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG: "0.05",
      },
      { ...otlp, ratio: 0.05, serviceName: "inference-scheduler" },
    ],
    [
      "always",
      { OTEL_TRACES_EXPORTER: "console", OTEL_TRACES_SAMPLER: "always_on" },
      { ...otlp, exporter: "console", ratio: 1, followsParent: false, defaultUrl: "http://localhost:4317" },
    ],
  ])("%s", (_what, env, settings) => {
    expect(traceSettings(env, never)).toEqual(settings);
  });

  test.each([
    ["sampler", { OTEL_TRACES_SAMPLER: "jaeger_remote" }, /OTEL_TRACES_SAMPLER: "jaeger_remote" is not supported/],
    ["ratio", { OTEL_TRACES_SAMPLER_ARG: "7" }, /OTEL_TRACES_SAMPLER_ARG: "7" is no ratio/],
  ])("a bad %s is told, and the default used", (_what, env, text) => {
    const told: string[] = [];
    expect(traceSettings({ OTEL_TRACES_EXPORTER: "otlp", ...env }, (line) => told.push(line))?.ratio).toBe(0.1);
    expect(told).toEqual([expect.stringMatching(text)]);
  });
});

const SETTINGS: TraceSettings = {
  exporter: "otlp",
  ratio: 1,
  followsParent: true,
  defaultUrl: undefined,
  serviceName: "s",
};

test("spans continue the caller's trace, nest, and hand it on", async () => {
  const exporter = new InMemorySpanExporter();
  const tracing = await startTracing(SETTINGS, { exporter });
  expect(tracing.begin("request", `00-${TRACE}-${SPAN}-00`, undefined)).toBeUndefined();
  const span = tracing.begin("request", `00-${TRACE}-${SPAN}-01`, "vendor=1");
  const child = span?.child("part", { count: 2 });
  child?.fail(new Error("boom"));
  child?.end();
  span?.end();
  const [part, request] = exporter.getFinishedSpans();
  expect([request?.name, request?.spanContext().traceId, request?.parentSpanContext?.spanId]).toEqual([
    "request",
    TRACE,
    SPAN,
  ]);
  expect([part?.parentSpanContext?.spanId, part?.attributes, part?.status.code]).toEqual([
    request?.spanContext().spanId,
    { count: 2 },
    2,
  ]);
  expect(span?.headers).toEqual([
    ["traceparent", `00-${TRACE}-${request?.spanContext().spanId}-01`],
    ["tracestate", "vendor=1"],
  ]);
  await tracing.close();
});

test("a collector gets them over gRPC", async () => {
  const received: Buffer[] = [];
  const server = new Server();
  const bytes = (value: Buffer): Buffer => value;
  server.addService(
    {
      Export: {
        path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    },
    {
      Export: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) => {
        received.push(call.request);
        done(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const tracing = await startTracing({ ...SETTINGS, serviceName: "picker", defaultUrl: `http://127.0.0.1:${port}` });
  tracing.begin("gateway.request", undefined, undefined)?.end();
  await tracing.close();
  server.forceShutdown();
  expect(Buffer.concat(received).toString("latin1")).toMatch(/picker[\s\S]*gateway\.request/);
});
