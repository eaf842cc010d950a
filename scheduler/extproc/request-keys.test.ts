import { describe, expect, test } from "@jest/globals";
import { type TestSetup } from "../../test/extproc-exchange.ts";
import {
  COMPLETION,
  POST,
  IDLE,
  requestHeaders,
  requestBody,
  responseHeaders,
  responseBody,
  subsetHint,
  subsetList,
  open,
  run,
  destinationOf,
  route,
} from "../../test/extproc-messages.ts";
import type { Message } from "../../test/extproc-client.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { createRewriteTable } from "../request/rewrite.ts";

describe("keys and headers", () => {
  test("destination header and dynamic metadata are equal, and the route is chosen anew", () => {
    const [headers] = route({});
    expect(headers).toEqual({
      kind: "request_headers",
      set: { "x-gateway-destination-endpoint": IDLE, "Content-Length": String(COMPLETION.length) },
      clearRouteCache: true,
      metadata: { "envoy.lb": { "x-gateway-destination-endpoint": IDLE } },
    });
  });

  test("scores of all candidates go along where they are asked for", () => {
    const [headers] = route({ director: { emitScores: true } });
    const lb = (headers?.metadata as Record<string, Record<string, unknown>> | undefined)?.["envoy.lb"] ?? {};
    expect(Object.keys(lb["x-gateway-destination-endpoint-scores"] as object).sort()).toEqual([
      "10.0.0.1:8000",
      "10.0.0.2:8000",
      "10.0.0.3:8000",
    ]);
  });

  test.each([
    "x-llm-d-inference-fairness-id",
    "x-gateway-inference-fairness-id",
    "x-llm-d-inference-objective",
    "x-gateway-inference-objective",
    "x-llm-d-slo-ttft-ms",
    "x-slo-ttft-ms",
    "x-llm-d-slo-tpot-ms",
    "x-slo-tpot-ms",
    "x-gateway-destination-endpoint-subset",
    "x-gateway-destination-endpoint-served",
    "x-llm-d-explain",
    "x-llm-d-request-dropped-reason",
  ])("%s of the client does not reach the model server", (name) => {
    expect(route({}, { ...POST, [name]: "7" })[0]?.remove).toEqual([name]);
  });

  test.each([
    ["the new name", { "x-llm-d-model-name-rewrite": "new" }, "new"],
    ["the old name", { "x-gateway-model-name-rewrite": "old" }, "old"],
    [
      "the new name before the old",
      { "x-llm-d-model-name-rewrite": "new", "x-gateway-model-name-rewrite": "old" },
      "new",
    ],
    [
      "an empty new name hides the old",
      { "x-llm-d-model-name-rewrite": "", "x-gateway-model-name-rewrite": "old" },
      "m",
    ],
  ])("model rewrite by header: %s", (_what, headers, model) => {
    const [, body] = route({}, { ...POST, ...headers });
    expect(JSON.parse(body?.part ?? "")).toEqual({ model, prompt: "hello" });
  });

  test.each([
    ["the new name", { "x-llm-d-inference-fairness-id": "tenant" }, "tenant"],
    ["the old name", { "x-gateway-inference-fairness-id": "tenant" }, "tenant"],
    ["an empty one", { "x-llm-d-inference-fairness-id": "" }, "default-flow"],
    ["none", {}, "default-flow"],
  ])("fairness id by %s", async (_what, headers, id) => {
    const registry = createMetricsRegistry();
    route({ registry }, { ...POST, ...headers });
    expect(await registry.render()).toContain(
      `llm_d_epp_request_total{model_name="m",target_model_name="m",fairness_id="${id}",priority="0"} 1`,
    );
  });

  test.each([
    ["x-llm-d-inference-objective", "batch", "-5"],
    ["x-gateway-inference-objective", "batch", "-5"],
    ["x-llm-d-inference-objective", "unknown", "0"],
    ["x-llm-d-inference-objective", "", "0"],
  ])("%s: %s is priority %s", async (name, objective, priority) => {
    const registry = createMetricsRegistry();
    const policies = {
      priorityOf: (wanted: string) => (wanted === "batch" ? -5 : undefined),
      rewrites: () => createRewriteTable([]),
    };
    route({ registry, director: { policies } }, { ...POST, [name]: objective });
    expect(await registry.render()).toMatch(new RegExp(`^llm_d_epp_request_total{.*priority="${priority}"} 1$`, "m"));
  });

  test("a rewrite rule wins over the header, is counted, and the answer gets the old name back", async () => {
    const registry = createMetricsRegistry();
    const rewrites = createRewriteTable([{ name: "rule", models: ["m"], targets: [{ model: "lora", weight: 1 }] }]);
    const policies = { priorityOf: () => undefined, rewrites: () => rewrites };
    const exchange = open({ registry, director: { policies } });
    const headers = { ...POST, "x-llm-d-model-name-rewrite": "other" };
    const [, body] = run(exchange, requestHeaders(headers), requestBody(COMPLETION));
    expect(JSON.parse(body?.part ?? "")).toMatchObject({ model: "lora" });
    const [, answer] = run(exchange, responseHeaders(), responseBody('{"model":"lora","usage":{}}'));
    expect(answer?.part).toBe('{"model":"m","usage":{}}');
    expect(await registry.render()).toContain(
      'llm_d_epp_model_rewrite_decisions_total{model_rewrite_name="rule",model_name="m",target_model="lora"} 1',
    );
  });

  test("a generic rule rescues a request without a model", () => {
    const rewrites = createRewriteTable([{ name: "all", models: [], targets: [{ model: "base", weight: undefined }] }]);
    const policies = { priorityOf: () => undefined, rewrites: () => rewrites };
    const [, body] = route({ director: { policies } }, POST, '{"prompt":"x"}');
    expect(JSON.parse(body?.part ?? "")).toEqual({ model: "base", prompt: "x" });
  });

  test.each([
    ["the path", { ":path": "/v1/embeddings?x=1" }, "embeddings"],
    ["x-original-path", { "x-original-path": "/v1/responses" }, "responses"],
    ["x-forwarded-path", { "x-forwarded-path": "/v1/responses" }, "responses"],
    ["nothing: completions", {}, "completions"],
  ])("the parser is chosen by %s", (_what, headers, api) => {
    const [answer] = route({}, { ":method": "POST", ...headers }, '{"model":"m"}');
    expect(answer?.body).toContain(`invalid ${api} request`);
  });

  test("a request without an id gets one", () => {
    expect(route({}, { ":method": "POST", ":path": "/v1/completions" })[0]?.set).toMatchObject({
      "x-request-id": "generated-id",
    });
    expect(route({}, { ...POST, "x-request-id": "" })[0]?.set).toMatchObject({ "x-request-id": "generated-id" });
  });
});

describe("subset hints", () => {
  const V6 = [{ address: "fd00::1" }, { address: "fd00::2" }];
  const RANKS = [{ address: "10.0.0.1", ports: [8000, 8001] }, { address: "10.0.0.2" }];
  const string = (text: string): Message => subsetHint({ string_value: text });
  test.each([
    ["absent: the whole pool", {}, {}, IDLE],
    ["one endpoint", {}, subsetList("10.0.0.3:8000"), "10.0.0.3:8000"],
    ["an address stands for all its ports", {}, subsetList("10.0.0.1"), "10.0.0.1:8000"],
    ["the best of several", {}, subsetList("10.0.0.1:8000", "10.0.0.3:8000"), "10.0.0.1:8000"],
    ["unknown members beside known ones", {}, subsetList("10.9.9.9:1", "10.0.0.3:8000"), "10.0.0.3:8000"],
    ["a port of one rank", { pods: RANKS }, subsetList("10.0.0.1:8001"), "10.0.0.1:8001"],
    ["a port that no endpoint has: the address counts", { pods: RANKS }, subsetList("10.0.0.2:9999"), "10.0.0.2:8000"],
    ["IPv6 with port", { pods: V6 }, subsetList("[fd00::2]:8000"), "[fd00::2]:8000"],
    ["IPv6 in brackets", { pods: V6 }, subsetList("[fd00::2]"), "[fd00::2]:8000"],
    ["bare IPv6", { pods: V6 }, subsetList("fd00::2"), "[fd00::2]:8000"],
    ["a comma list as one string", {}, string(" 10.0.0.3:8000 , 10.9.9.9:1"), "10.0.0.3:8000"],
    ["members that are no strings are skipped", {}, subsetList({ number_value: 1 }, "10.0.0.3:8000"), "10.0.0.3:8000"],
    ["ignored by flag", { context: { ignoreSubset: true } }, subsetList("10.0.0.3:8000"), IDLE],
  ])("%s", (_what, setup: TestSetup, hint: Message, destination: string) => {
    expect(destinationOf(route(setup, POST, COMPLETION, hint))).toBe(destination);
  });

  test.each([
    ["an empty list", subsetList()],
    ["an empty string", subsetHint({ string_value: "" })],
    ["no member of the pool", subsetList("10.9.9.9:8000")],
    ["no member that is a string", subsetList({ number_value: 1 }, { bool_value: true })],
  ])("%s leaves no candidate", (_what, hint) => {
    expect(route({}, POST, COMPLETION, hint)).toEqual([
      {
        kind: "immediate_response",
        status: 503,
        set: { "x-llm-d-request-dropped-reason": "rejected-no-endpoints" },
        body: "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request",
      },
    ]);
  });

  test("a hint of the headers holds unless a later message gives another", () => {
    const first = requestHeaders(POST, subsetList("10.0.0.3:8000"));
    expect(destinationOf(run(open(), first, requestBody(COMPLETION)))).toBe("10.0.0.3:8000");
    const second = requestBody(COMPLETION, true, subsetList("10.0.0.1:8000"));
    expect(destinationOf(run(open(), first, second))).toBe("10.0.0.1:8000");
    const unrelated = requestBody(COMPLETION, true, {
      metadata_context: { filter_metadata: { other: { fields: {} } } },
    });
    expect(destinationOf(run(open(), first, unrelated))).toBe("10.0.0.3:8000");
  });

  test("a request without a body honours it, too", () => {
    const get = { ":method": "GET", ":path": "/v1/models" };
    const hint = { ...subsetList("10.0.0.3:8000"), end_of_stream: true };
    expect(destinationOf(run(open(), requestHeaders(get, hint)))).toBe("10.0.0.3:8000");
  });
});
