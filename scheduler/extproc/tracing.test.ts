import { expect, test } from "@jest/globals";
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import { createTestContext, openExchange, plain } from "../../test/extproc-exchange.ts";
import {
  COMPLETION,
  POST,
  requestBody,
  requestHeaders,
  responseBody,
  responseHeaders,
} from "../../test/extproc-messages.ts";
import type { Message } from "../../test/extproc-client.ts";
import { startTracing, type Tracing } from "../../telemetry/tracing.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = `00-${TRACE}-b7ad6b7169203331`;

async function traced(messages: readonly Message[]) {
  const exporter = new InMemorySpanExporter();
  const settings = {
    exporter: "otlp",
    ratio: 0,
    followsParent: true,
    defaultUrl: undefined,
    serviceName: "s",
  } as const;
  const tracing: Tracing = await startTracing(settings, { exporter });
  const exchange = openExchange(createTestContext({ context: { tracing } }));
  const answers = messages.flatMap((message) => exchange.send(message)).map(plain);
  exchange.halfClose();
  const spans = exporter.getFinishedSpans().map((span) => ({
    name: span.name,
    attributes: span.attributes,
    failed: span.status.code === 2,
    id: span.spanContext().spanId,
    parent: span.parentSpanContext?.spanId,
  }));
  return { answers, spans };
}

const WHOLE = [requestBody(COMPLETION), responseHeaders(), responseBody("{}")];

test("a request that its caller traces has spans, and hands its own on", async () => {
  const headers = requestHeaders({ ...POST, traceparent: `${PARENT}-01`, tracestate: "vendor=1" });
  const { answers, spans } = await traced([headers, ...WHOLE]);
  const request = spans.find(({ name }) => name === "gateway.request");
  expect(request).toMatchObject({
    parent: "b7ad6b7169203331",
    attributes: { "gen_ai.request.model": "m", "gen_ai.request.id": "r1" },
  });
  expect(spans.find(({ name }) => name === "gateway.request_orchestration")).toMatchObject({
    parent: request?.id,
    attributes: { target_model: "m", request_prio: 0 },
  });
  const byName = (name: string) => spans.find((span) => span.name === name);
  const profile = byName("run_scheduler_profile");
  expect(profile?.parent).toBe(byName("gateway.request_orchestration")?.id);
  expect(byName("filter_endpoints")).toMatchObject({
    parent: profile?.id,
    attributes: { candidate_count: 3, filtered_count: 3 },
  });
  expect(byName("llm_d.epp.scorer.queue-scorer")).toMatchObject({
    parent: byName("llm_d.epp.scoring")?.id,
    attributes: { weight: 2, score_max: 1 },
  });
  expect(byName("pick_endpoints")?.attributes).toMatchObject({ top_endpoints: "10.0.0.2:8000" });
  expect(answers[0]?.set).toMatchObject({ traceparent: `00-${TRACE}-${request?.id}-01`, tracestate: "vendor=1" });
});

test("a request that its caller does not trace has none, and its headers pass", async () => {
  const { answers, spans } = await traced([requestHeaders({ ...POST, traceparent: `${PARENT}-00` }), ...WHOLE]);
  expect(spans).toEqual([]);
  expect(answers[0]?.set).not.toHaveProperty("traceparent");
});

test("a refused request has failed spans", async () => {
  const { spans } = await traced([
    requestHeaders({ ...POST, traceparent: `${PARENT}-01` }),
    requestBody('{"prompt":"x"}'),
  ]);
  expect(spans.map(({ name, failed }) => [name, failed])).toEqual([
    ["gateway.request_orchestration", true],
    ["gateway.request", true],
  ]);
});
