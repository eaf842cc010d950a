import { describe, expect, test } from "@jest/globals";
import {
  COMPLETION,
  POST,
  IDLE,
  MODE,
  requestHeaders,
  requestBody,
  TRAILERS,
  modes,
  open,
  run,
  destinationOf,
  route,
} from "../../test/extproc-messages.ts";
import type { Message } from "../../test/extproc-client.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { createParsers } from "../parsers/parsers.ts";

describe("request body modes", () => {
  const get = { ":method": "GET", ":path": "/v1/models" };
  const routed = { "x-gateway-destination-endpoint": expect.stringMatching(/^10\.0\.0\.\d:8000$/) };
  const headersAnswer = { kind: "request_headers", set: routed };
  const whole = { kind: "request_body", part: COMPLETION, endOfStream: true };
  const open2 = COMPLETION.slice(0, 10);
  const rest = COMPLETION.slice(10);
  test.each([
    ["absent, chunks", {}, [requestBody(open2, false), requestBody(rest)], [headersAnswer, whole]],
    [
      "full duplex, empty last chunk",
      modes(MODE.duplex),
      [requestBody(COMPLETION, false), requestBody("")],
      [headersAnswer, whole],
    ],
    [
      "full duplex, trailers",
      modes(MODE.duplex),
      [requestBody(COMPLETION, false), TRAILERS],
      [headersAnswer, { kind: "request_body", part: COMPLETION }, { kind: "request_trailers" }],
    ],
    [
      "full duplex, trailers after the end",
      modes(MODE.duplex),
      [requestBody(COMPLETION), TRAILERS],
      [headersAnswer, whole, { kind: "request_trailers" }],
    ],
    [
      "buffered",
      modes(MODE.buffered),
      [requestBody(COMPLETION)],
      [{ kind: "request_headers" }, { kind: "request_body", set: routed, clearRouteCache: true }],
    ],
    [
      "buffered, trailers",
      modes(MODE.buffered),
      [requestBody(COMPLETION, false), TRAILERS],
      [{ kind: "request_headers" }, { kind: "request_body", set: routed }, { kind: "request_trailers" }],
    ],
    [
      "partially buffered, all of it",
      modes(MODE.partial),
      [requestBody(COMPLETION)],
      [{ kind: "request_headers" }, { kind: "request_body", set: routed }],
    ],
    [
      "partially buffered, cut",
      modes(MODE.partial),
      [requestBody(open2, false)],
      [{ kind: "request_headers" }, { kind: "request_body", set: routed }],
    ],
    [
      "streamed: one answer a chunk",
      modes(MODE.streamed),
      [requestBody(open2, false), requestBody(rest)],
      [headersAnswer, { kind: "request_body" }, { kind: "request_body" }],
    ],
    ["none", modes(MODE.none), [], [{ kind: "request_headers", set: { "x-gateway-destination-endpoint": IDLE } }]],
    [
      "streamed: decided by load",
      modes(MODE.streamed),
      [requestBody(open2, false)],
      [{ kind: "request_headers", set: { "x-gateway-destination-endpoint": IDLE } }, { kind: "request_body" }],
    ],
  ] as const)("%s", (_what, config: Message, messages, expected) => {
    const answers = run(open(), requestHeaders(POST, config), ...messages);
    expect(answers).toHaveLength(expected.length);
    expect(answers).toMatchObject(expected);
  });

  test("a proxy that does not tell its mode has the configured one", () => {
    const answers = run(open({ context: { assumedMode: MODE.buffered } }), requestHeaders(), requestBody(COMPLETION));
    expect(answers).toMatchObject([{ kind: "request_headers" }, { kind: "request_body", set: routed }]);
  });

  test("a buffered body is replaced only where it changed", () => {
    const headers = requestHeaders({ ...POST, "x-llm-d-model-name-rewrite": "other" }, modes(MODE.buffered));
    const [, unchanged] = run(open(), requestHeaders(POST, modes(MODE.buffered)), requestBody(COMPLETION));
    const [, changed] = run(open(), headers, requestBody(COMPLETION));
    expect(unchanged?.body).toBeUndefined();
    expect(JSON.parse(changed?.body ?? "")).toEqual({ model: "other", prompt: "hello" });
    expect(changed?.set?.["Content-Length"]).toBe(String(changed?.body?.length));
  });

  test.each([
    ["a GET that ends with its headers", [requestHeaders(get, { end_of_stream: true })], ["request_headers"]],
    ["a GET with an empty body", [requestHeaders(get), requestBody("")], ["request_headers", "request_body"]],
    [
      "an empty body on an unclaimed path",
      [requestHeaders({ ":method": "POST", ":path": "/x" }), requestBody("")],
      ["request_headers", "request_body"],
    ],
    [
      "a DELETE with trailers",
      [requestHeaders({ ":method": "DELETE", ":path": "/v1/x" }), TRAILERS],
      ["request_headers", "request_body", "request_trailers"],
    ],
  ])("%s needs no parser", (_what, messages, kinds) => {
    const answers = run(open(), ...messages);
    expect(answers.map(({ kind }) => kind)).toEqual(kinds);
    expect(destinationOf(answers)).toMatch(/:8000$/);
    expect(answers[0]?.set?.["Content-Length"]).toBeUndefined();
  });

  test.each([
    ["upgrade", { ":method": "GET", ":path": "/v1/realtime", upgrade: "websocket" }],
    ["CONNECT", { ":method": "CONNECT", ":path": "/v1/realtime" }],
  ])("%s is routed by its headers, and its chunks pass", (_what, headers) => {
    const exchange = open();
    expect(run(exchange, requestHeaders(headers))).toMatchObject([headersAnswer]);
    expect(run(exchange, requestBody("ping", false))).toEqual([{ kind: "request_body", part: "ping" }]);
    expect(run(exchange, requestBody("", true))).toEqual([{ kind: "request_body", part: "", endOfStream: true }]);
  });

  test("a body on an unclaimed path is scheduled unread", () => {
    const answers = route({}, { ...POST, ":path": "/tokenize" }, "\u0000binary");
    expect(destinationOf(answers)).toBe(IDLE);
    expect(answers[1]?.part).toBe("\u0000binary");
  });

  test("without headers the body alone decides, and metadata tells where", () => {
    expect(run(open(), requestBody(COMPLETION, true, modes(MODE.duplex)))).toEqual([
      { ...whole, metadata: { "envoy.lb": { "x-gateway-destination-endpoint": IDLE } } },
    ]);
  });

  test.each([
    ["headers twice", [requestHeaders(), requestHeaders({ ...POST, ":path": "/other" }), requestBody(COMPLETION)], 2],
    ["a chunk after the end", [requestHeaders(), requestBody(COMPLETION), requestBody(COMPLETION)], 2],
    ["trailers before headers", [TRAILERS], 0],
    ["a message of no kind", [{}], 0],
    [
      "traffic that is only shown",
      [requestHeaders(POST, { observability_mode: true }), requestBody(COMPLETION, true, { observability_mode: true })],
      0,
    ],
  ])("%s changes nothing", (_what, messages: Message[], count) => {
    const exchange = open();
    expect(run(exchange, ...messages)).toHaveLength(count);
    expect(exchange.end).toBeUndefined();
  });

  test.each([
    ["/v1/messages/count_tokens", '{"model":"m","messages":[{"role":"user","content":"x"}]}'],
    ["/vllm.grpc.engine.VllmEngine/HealthCheck", "\u0000\u0000\u0000\u0000\u0000"],
  ])("%s is routed, and its answer left alone", async (path, body) => {
    const registry = createMetricsRegistry();
    const parsers = createParsers(["openai-parser", "anthropic-parser", "vllmgrpc-parser", "passthrough-parser"]);
    const exchange = open({ registry, context: { parsers } });
    const answers = run(exchange, requestHeaders({ ...POST, ":path": path }), requestBody(body));
    expect(destinationOf(answers)).toBe(IDLE);
    expect(answers[1]?.part).toBe(body);
    expect(exchange.end).toEqual({ status: 0, message: undefined });
    expect(await registry.render()).toMatch(/^llm_d_epp_request_running\{.*\} 0$/m);
  });
});
