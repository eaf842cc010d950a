import { describe, expect, test } from "@jest/globals";
import { createTestContext, plain, type Exchange, type TestSetup } from "../../test/extproc-exchange.ts";
import {
  COMPLETION,
  POST,
  IDLE,
  MODE,
  requestHeaders,
  requestBody,
  responseHeaders,
  responseBody,
  RESPONSE_TRAILERS,
  modes,
  open,
  run,
  destinationOf,
} from "../../test/extproc-messages.ts";
import type { Message } from "../../test/extproc-client.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { type ResponseSummary, type RoutingDecision } from "../request/types.ts";

describe("the answer", () => {
  const marked = { "x-went-into-resp-headers": "true" };
  const begun = (setup: TestSetup = {}, headers: Message = requestHeaders()): Exchange => {
    const exchange = open(setup);
    run(exchange, headers, requestBody(COMPLETION));
    return exchange;
  };
  const SSE = { ":status": "200", "content-type": "text/event-stream" };

  test("of the model server passes as it comes, with a mark", () => {
    const exchange = begun();
    expect(run(exchange, responseHeaders())).toEqual([{ kind: "response_headers", set: marked }]);
    expect(run(exchange, responseBody('{"a":', false))).toEqual([{ kind: "response_body", part: '{"a":' }]);
    expect(run(exchange, responseBody("1}"))).toEqual([{ kind: "response_body", part: "1}", endOfStream: true }]);
  });

  test("that is no JSON, or compressed, passes unchanged", () => {
    for (const encoding of ["", "gzip", "br", "unknown"]) {
      const exchange = begun({}, requestHeaders({ ...POST, "x-llm-d-model-name-rewrite": "x" }));
      run(exchange, responseHeaders({ ":status": "200", "content-encoding": encoding }));
      expect(run(exchange, responseBody("no { JSON"))).toEqual([
        { kind: "response_body", part: "no { JSON", endOfStream: true },
      ]);
    }
  });

  test("may end with trailers", () => {
    const exchange = begun({}, requestHeaders({ ...POST, "x-llm-d-model-name-rewrite": "x" }));
    run(exchange, responseHeaders());
    expect(run(exchange, responseBody('{"model":"x","mod', false))).toEqual([
      { kind: "response_body", part: '{"model":"m",' },
    ]);
    expect(run(exchange, RESPONSE_TRAILERS)).toEqual([
      { kind: "response_body", part: '"mod' },
      { kind: "response_trailers" },
    ]);
  });

  test.each([
    ["buffered", MODE.buffered, [responseBody('{"model":"x"}')], [{ kind: "response_body", body: '{"model":"m"}' }]],
    ["buffered, unchanged", MODE.buffered, [responseBody("{}")], [{ kind: "response_body" }]],
    [
      "buffered, trailers",
      MODE.buffered,
      [responseBody('{"model":"x"}', false), RESPONSE_TRAILERS],
      [{ kind: "response_body", body: '{"model":"m"}' }, { kind: "response_trailers" }],
    ],
    [
      "streamed: one answer a chunk, nothing held back",
      MODE.streamed,
      [responseBody('{"mod', false), responseBody('":1}')],
      [{ kind: "response_body" }, { kind: "response_body" }],
    ],
  ])("in mode %s", (_what, mode, messages, expected) => {
    const exchange = begun(
      {},
      requestHeaders({ ...POST, "x-llm-d-model-name-rewrite": "x" }, modes(MODE.duplex, mode)),
    );
    run(exchange, responseHeaders());
    expect(run(exchange, ...messages)).toEqual(expected);
  });

  test.each([
    [":status", "404", true],
    ["status", "500", true],
    [":status", "200", false],
    [":status", "204", false],
  ])("%s %s is an error of the model server: %s", async (name, status, counted) => {
    const registry = createMetricsRegistry();
    const exchange = begun({ registry });
    run(exchange, responseHeaders({ [name]: status }), responseBody("{}"));
    exchange.halfClose();
    const page = await registry.render();
    expect(/^llm_d_epp_request_error_total\{.*error_code="ModelServerError"\} 1$/m.test(page)).toBe(counted);
  });

  test("may come without a request, and then has no times", async () => {
    const registry = createMetricsRegistry();
    const exchange = open({ registry });
    run(exchange, responseHeaders(SSE));
    const usage = 'data: {"usage":{"prompt_tokens":7,"total_tokens":17,"completion_tokens":10}}\n\ndata: [DONE]\n\n';
    expect(run(exchange, responseBody(usage, false), responseBody(""))).toEqual([
      { kind: "response_body", part: usage },
      { kind: "response_body", part: "", endOfStream: true },
    ]);
    const page = await registry.render();
    expect(page).toMatch(/^llm_d_epp_request_input_tokens_sum\{model_name="",.*\} 7$/m);
    expect(page).toMatch(/^llm_d_epp_request_output_tokens_count\{model_name="",.*\} 1$/m);
    expect(page).not.toMatch(/^llm_d_epp_request_duration_seconds_count\{.*\} [1-9]/m);
    expect(page).not.toMatch(/^llm_d_epp_request_ntpot_seconds_count\{.*\} [1-9]/m);
  });

  test("that comes before the request's end leaves both sides answered, and nothing running", async () => {
    const registry = createMetricsRegistry();
    const exchange = open({ registry });
    run(exchange, requestHeaders(), responseHeaders({ ":status": "503" }), responseBody("local"));
    expect(destinationOf(run(exchange, requestBody(COMPLETION)))).toBe(IDLE);
    exchange.halfClose();
    const page = await registry.render();
    expect(page).toMatch(/^llm_d_epp_request_running\{.*\} 0$/m);
    expect(page).toMatch(/^endpoint_picker_open_streams 0$/m);
  });

  test("of a gzip-compressed body still tells its usage", async () => {
    const { gzipSync } = await import("node:zlib");
    const registry = createMetricsRegistry();
    const exchange = begun({ registry });
    run(exchange, responseHeaders({ ":status": "200", "content-encoding": "gzip" }));
    const bytes = gzipSync('{"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}');
    exchange.send({ response_body: { body: bytes.subarray(0, 9) } });
    exchange.send({ response_body: { body: bytes.subarray(9), end_of_stream: true } });
    expect(await registry.render()).toMatch(/^llm_d_epp_request_input_tokens_sum\{.*\} 4$/m);
  });
});

describe("evicted, cancelled, closed", () => {
  const decision = (more: Partial<RoutingDecision>): RoutingDecision => ({
    ticket: "t",
    endpoint: { podName: "p", namespace: "n", address: IDLE, port: 8000 },
    destination: IDLE,
    incomingModel: "m",
    targetModel: "m",
    fairnessId: "default-flow",
    priority: 0,
    setHeaders: [],
    scores: undefined,
    ...more,
  });
  function watched(handle: () => RoutingDecision | Promise<RoutingDecision>) {
    const ended: ResponseSummary[] = [];
    const registry = createMetricsRegistry();
    const { director } = createTestContext();
    const own = {
      ...director,
      handle,
      wantsResponseBody: false,
      onResponseHeaders: () => undefined,
      onFirstChunk: () => undefined,
      responseMetadata: () => undefined,
      onComplete: (_: unknown, summary: ResponseSummary) => void ended.push(summary),
    };
    return { ended, registry, exchange: open({ registry, context: { director: own } }) };
  }

  test("an evicted request is answered with 429, unless its answer is complete", () => {
    let evict: (reason: "evicted-priority") => void = () => undefined;
    const { exchange, ended } = watched(() => decision({ onEvicted: (call) => void (evict = call) }));
    run(exchange, requestHeaders(), requestBody(COMPLETION), responseHeaders());
    evict("evicted-priority");
    expect(exchange.answers().map(plain)).toEqual([
      {
        kind: "immediate_response",
        status: 429,
        set: { "x-llm-d-request-dropped-reason": "evicted-priority" },
        body: "request evicted by flow control",
      },
    ]);
    expect(exchange.end?.status).toBe(0);
    expect(ended.map(({ termination }) => termination)).toEqual(["evicted"]);
    const later = watched(() => decision({ onEvicted: (call) => void (evict = call) }));
    run(later.exchange, requestHeaders(), requestBody(COMPLETION), responseHeaders(), responseBody("{}"));
    evict("evicted-priority");
    expect(later.exchange.end).toBeUndefined();
    expect(later.ended.map(({ termination }) => termination)).toEqual(["natural"]);
  });

  const WHOLE: readonly Message[] = [
    requestHeaders(),
    requestBody(COMPLETION.slice(0, 9), false),
    requestBody(COMPLETION.slice(9)),
    responseHeaders(),
    responseBody("{", false),
    responseBody("}"),
  ];
  const CLOSINGS = WHOLE.flatMap((_, index) => [
    [index + 1, "cancelled", index + 1 < 3 ? undefined : index + 1 === 6 ? "natural" : "client-disconnect"] as const,
    [
      index + 1,
      "closed",
      index + 1 < 3 ? undefined : index + 1 === 4 || index + 1 === 5 ? "error" : "natural",
    ] as const,
  ]);
  test.each(CLOSINGS)("after %d messages, %s: ends as %s", async (count, how, termination) => {
    const { exchange, ended, registry } = watched(() => decision({}));
    run(exchange, ...WHOLE.slice(0, count));
    if (how === "closed") exchange.halfClose();
    else exchange.cancel();
    expect(ended.map((summary) => summary.termination)).toEqual(termination === undefined ? [] : [termination]);
    const page = await registry.render();
    expect(page).toMatch(/^endpoint_picker_open_streams 0$/m);
    expect(page).not.toMatch(/^llm_d_epp_request_running\{.*\} [^0]/m);
    expect(run(exchange, requestHeaders())).toEqual([]);
  });

  function waiting() {
    const { promise, resolve } = Promise.withResolvers<RoutingDecision>();
    let signal: AbortSignal | undefined;
    const { director } = createTestContext();
    const ended: string[] = [];
    const exchange = open({
      context: {
        director: {
          ...director,
          handle: (request) => {
            ({ signal } = request);
            return promise;
          },
          onComplete: (_ticket, summary) => void ended.push(summary.termination),
        },
      },
    });
    run(exchange, requestHeaders(), requestBody(COMPLETION));
    const decide = async (): Promise<void> => {
      resolve(decision({}));
      await new Promise((done) => setImmediate(done));
    };
    return { exchange, ended, isAborted: () => signal?.aborted, decide };
  }

  test("a decision that is waited for is given up when nobody waits for it any more", async () => {
    const { exchange, ended, isAborted, decide } = waiting();
    exchange.cancel();
    expect(isAborted()).toBe(true);
    await decide();
    expect(ended).toEqual(["client-disconnect"]);
    expect(exchange.answers()).toEqual([]);
  });

  test("a decision that is waited for still answers a client that has sent all", async () => {
    const { exchange, ended, isAborted, decide } = waiting();
    exchange.halfClose();
    expect(isAborted()).toBe(false);
    expect(exchange.end).toBeUndefined();
    await decide();
    expect(exchange.answers()).toMatchObject([{ request_headers: {} }, { request_body: {} }]);
    expect(ended).toEqual(["natural"]);
    expect(exchange.end).toMatchObject({ status: 0 });
  });

  test("a client that has sent all may still go away before the decision", async () => {
    const { exchange, ended, isAborted, decide } = waiting();
    exchange.halfClose();
    exchange.cancel();
    expect(isAborted()).toBe(true);
    await decide();
    expect(ended).toEqual(["client-disconnect"]);
    expect(exchange.answers()).toEqual([]);
  });
});
