import { describe, expect, test } from "@jest/globals";
import { createTestContext, openExchange, type TestSetup } from "../../test/extproc-exchange.ts";
import {
  COMPLETION,
  POST,
  IDLE,
  requestHeaders,
  requestBody,
  open,
  run,
  destinationOf,
  route,
} from "../../test/extproc-messages.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { RequestError, type RoutingDecision } from "../request/types.ts";
import { createParsers } from "../parsers/parsers.ts";

/** A director whose decision is what the test says. */
function deciding(decide: () => RoutingDecision | Promise<RoutingDecision>): TestSetup {
  const { director } = createTestContext();
  return { context: { director: { ...director, handle: decide } } };
}

const refusing = (error: unknown): TestSetup =>
  deciding(() => {
    throw error;
  });

describe("errors", () => {
  test.each([
    [
      "no parser and no fallback",
      { context: { parsers: createParsers(["openai-parser"]) } },
      "/tokenize",
      "x",
      400,
      "BadRequest - no parser registered matching path suffix for: /tokenize",
    ],
    [
      "malformed body",
      {},
      "/v1/completions",
      "no healthy upstream",
      400,
      'BadRequest - error unmarshaling request bodyMap: invalid character "n" at byte 0',
    ],
    [
      "no model",
      {},
      "/v1/completions",
      '{"prompt":"hello world"}',
      400,
      "BadRequest - model not found in request body",
    ],
    [
      "a model that is no string",
      {},
      "/v1/completions",
      '{"prompt":"x","model":7}',
      400,
      "BadRequest - model not found in request body",
    ],
    [
      "no prompt",
      {},
      "/v1/completions",
      '{"hello":"world"}',
      400,
      "BadRequest - invalid completions request: must have prompt field",
    ],
    [
      "an empty body on a JSON path",
      {},
      "/v1/completions",
      "",
      400,
      "BadRequest - error unmarshaling request bodyMap: unexpected end of JSON input",
    ],
  ])("%s", (_what, setup: TestSetup, path, body, status, text) => {
    expect(route(setup, { ...POST, ":path": path }, body)).toEqual([
      { kind: "immediate_response", status, body: `inference error: ${text}` },
    ]);
  });

  test.each([
    ["BadRequest", 400],
    ["Unauthorized", 401],
    ["Forbidden", 403],
    ["NotFound", 404],
    ["PreconditionFailed", 412],
    ["PayloadTooLarge", 413],
    ["ResourceExhausted", 429],
    ["Internal", 500],
    ["ServiceUnavailable", 503],
  ] as const)("code %s is %d, counted once, and the stream ends well", async (code, status) => {
    const registry = createMetricsRegistry();
    const exchange = open({ registry, ...refusing(new RequestError(code, "text")) });
    const [answer] = run(exchange, requestHeaders(), requestBody(COMPLETION));
    expect(answer).toEqual({ kind: "immediate_response", status, body: `inference error: ${code} - text` });
    expect(exchange.end).toEqual({ status: 0, message: undefined });
    exchange.halfClose();
    expect(await registry.render()).toMatch(
      new RegExp(`^llm_d_epp_request_error_total\\{.*error_code="${code}"\\} 1$`, "m"),
    );
  });

  test.each([
    "rejected-saturated",
    "rejected-no-endpoints",
    "rejected-ttl-expired",
    "rejected-context-cancelled",
    "rejected-shutting-down",
    "evicted",
    "evicted-queue-pressure",
    "evicted-priority",
  ] as const)("reason %s is told in a header", (reason) => {
    const [answer] = route(refusing(new RequestError("ResourceExhausted", "x", reason)));
    expect(answer?.set).toEqual({ "x-llm-d-request-dropped-reason": reason });
  });

  test("anything else ends the stream with a status, for the proxy's failure mode", () => {
    const exchange = open(refusing(new Error("boom")));
    expect(run(exchange, requestHeaders(), requestBody(COMPLETION))).toEqual([]);
    expect(exchange.end).toEqual({ status: 2, message: "boom" });
  });

  test("bytes that are no message end the stream with INVALID_ARGUMENT", () => {
    const exchange = open();
    exchange.sendBytes(Buffer.from([0x12, 0xff]));
    expect(exchange.end?.status).toBe(3);
  });

  test("an empty pool refuses bodies and header-only requests alike", () => {
    const set = { "x-llm-d-request-dropped-reason": "rejected-no-endpoints" };
    expect(route({ pods: [] })).toMatchObject([{ status: 503, set }]);
    const get = requestHeaders({ ":method": "GET", ":path": "/v1/models" }, { end_of_stream: true });
    expect(run(open({ pods: [] }), get)).toEqual([
      {
        kind: "immediate_response",
        status: 503,
        set,
        body: "inference error: ServiceUnavailable - no pods available in datastore",
      },
    ]);
  });

  test("Prefer: if-available needs a cached prefix", () => {
    const prompt = JSON.stringify({ model: "m", prompt: "x".repeat(4096) });
    const headers = { ...POST, prefer: "respond-async, If-Available; wait=1" };
    const context = createTestContext();
    expect(run(openExchange(context), requestHeaders(headers), requestBody(prompt))).toEqual([
      {
        kind: "immediate_response",
        status: 412,
        body: "inference error: PreconditionFailed - no decode worker has the requested KV cache",
      },
    ]);
    run(openExchange(context), requestHeaders(), requestBody(prompt));
    expect(destinationOf(run(openExchange(context), requestHeaders(headers), requestBody(prompt)))).toBe(IDLE);
  });

  test.each([
    ["announced", [requestHeaders({ ...POST, "content-length": "1001" })]],
    ["in one chunk", [requestHeaders(), requestBody("x".repeat(1001), false)]],
    ["in several", [requestHeaders(), requestBody("x".repeat(600), false), requestBody("x".repeat(600), false)]],
  ])("a body above the limit is refused: %s", (_what, messages) => {
    expect(run(open({ context: { maxBodyBytes: 1000 } }), ...messages)).toMatchObject([{ status: 413 }]);
  });

  test("a content-length that is no number is not trusted", () => {
    const answers = run(open(), requestHeaders({ ...POST, "content-length": "many" }), requestBody(COMPLETION));
    expect(destinationOf(answers)).toBe(IDLE);
  });
});

describe("what requests make the server hold", () => {
  const half = COMPLETION.length >> 1;
  const [begin, rest] = [COMPLETION.slice(0, half), COMPLETION.slice(half)];

  test("a body counts until it is routed, with what its parts keep", () => {
    const exchange = openExchange(createTestContext());
    run(exchange, requestHeaders());
    const withoutBody = exchange.heldBytes;
    run(exchange, requestBody(begin, false));
    expect(exchange.heldBytes).toBeGreaterThan(withoutBody + begin.length);
    expect(destinationOf(run(exchange, requestBody(rest)))).toBe(IDLE);
    expect(exchange.heldBytes).toBe(withoutBody);
  });

  test("one that waits for a decision counts as long as that takes", async () => {
    const { director } = createTestContext();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const decide: typeof director.handle = async (request) => {
      await promise;
      return await director.handle(request);
    };
    const exchange = openExchange(createTestContext({ context: { director: { ...director, handle: decide } } }));
    run(exchange, requestHeaders());
    const withoutBody = exchange.heldBytes;
    run(exchange, requestBody(COMPLETION));
    expect(exchange.heldBytes).toBe(withoutBody + COMPLETION.length);
    resolve(undefined);
    await new Promise((done) => setImmediate(done));
    expect(exchange.answers()).toHaveLength(2);
    expect(exchange.heldBytes).toBe(withoutBody);
  });

  test.each([
    ["headers", 10, [requestHeaders()]],
    ["a part of a body", 200_000, [requestHeaders(), requestBody("x".repeat(300_000), false)]],
  ])("beyond what may be held %s are refused", (_what, limit, messages) => {
    expect(run(openExchange(createTestContext(), limit), ...messages)).toEqual([
      {
        kind: "immediate_response",
        status: 429,
        set: { "x-llm-d-request-dropped-reason": "rejected-saturated" },
        body: "inference error: ResourceExhausted - the endpoint picker holds too many requests",
      },
    ]);
  });

  test("a refusal of what waits for a decision leaves the decision to nobody", async () => {
    const { director } = createTestContext();
    let aborted = false;
    const decide: typeof director.handle = ({ signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted = true;
          reject(new Error("aborted"));
        });
      });
    const context = createTestContext({ context: { director: { ...director, handle: decide } } });
    const body = JSON.stringify({ model: "m", prompt: "x".repeat(5000) });
    const answers = run(openExchange(context, 2000), requestHeaders(), requestBody(body));
    expect(answers).toMatchObject([{ status: 429 }]);
    await new Promise((done) => setImmediate(done));
    expect(aborted).toBe(true);
  });
});
