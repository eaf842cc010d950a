import { describe, expect, test } from "@jest/globals";
import type { LatencyPrediction, PrefixMatch } from "../../framework/data.ts";
import { IN_FLIGHT_LOAD, LATENCY_PREDICTION, PREFIX_MATCH, TOKENIZED_PROMPT } from "../../framework/data.ts";
import { createParsers } from "../../parsers/parsers.ts";
import { type Bench, benchRequest, pluginOf } from "../../../test/scheduler/plugin-bench.ts";
import { placeBurst } from "./burst-placement.ts";

const never = new AbortController().signal;
const completion = (prompt: string, more: object = {}) => {
  const json = { model: "m", prompt };
  const bytes = Buffer.from(JSON.stringify(json));
  return benchRequest({ body: { bytes, json: () => json, promptBytes: () => [Buffer.from(prompt)] }, ...more });
};

/** Prepares and runs the producers of a bench for a request, as the director does. */
async function produced(bench: Bench, request = completion("hello world")): Promise<void> {
  const prepared: unknown[] = [];
  for (const { at, index, plugin } of bench.pipeline.preparers) {
    bench.begin(request);
    bench.pipeline.producers.slice(0, at).forEach((producer) => producer.produce?.(bench.cycle));
    prepared[index] = await plugin.prepare?.(bench.cycle, never)?.catch(() => undefined);
  }
  bench.begin(request);
  bench.cycle.prepared = prepared;
  bench.produce();
}

/** A service that answers with JSON, and what it was asked. */
function service(answer: (url: string, body: unknown) => unknown) {
  const asked: { readonly url: string; readonly body: unknown }[] = [];
  const fetch = ((url: string, { body }: { readonly body: string }) => {
    const sent: unknown = JSON.parse(body);
    asked.push({ url, body: sent });
    const found = answer(url, sent);
    return Promise.resolve(found === undefined ? new Response("no", { status: 500 }) : Response.json(found));
  }) as typeof globalThis.fetch;
  return { asked, fetch };
}

describe("approx-prefix-cache-producer: block size", () => {
  const blockSizeTokens = (pool: readonly number[]): number => {
    const bench = pluginOf("approx-prefix-cache-producer", undefined, {
      pool: pool.map((cacheBlockSize) => ({ cacheBlockSize, cacheNumBlocks: 100 })),
    });
    bench.produce();
    return bench.pipeline.data(PREFIX_MATCH, "approx-prefix-cache-producer").of(bench.cycle).blockSizeTokens;
  };
  test.each([
    [[16, 16, 16], 64],
    [[16, 32, 64], 64],
    [[128, 256, 256], 256],
    [[256, 128, 0], 256],
    [[0, 0, 0], 64],
  ])("engines with %j", (pool, expected) => {
    expect(blockSizeTokens(pool)).toBe(expected);
  });
});

describe("token-producer with a vLLM server", () => {
  const tokens = (bench: Bench) => bench.pipeline.data(TOKENIZED_PROMPT, "token-producer").of(bench.cycle);

  test("takes the server's tokens, and names the model", async () => {
    const { asked, fetch } = service(() => [{ token_ids: [1, 2, 3] }]);
    const bench = pluginOf(
      "token-producer",
      { modelName: "org/model", vllm: { url: "http://render:8000/" } },
      { fetch },
    );
    await produced(bench);
    expect(tokens(bench).tokenCount).toBe(3);
    expect(asked).toEqual([
      { url: "http://render:8000/v1/completions/render", body: { model: "org/model", prompt: "hello world" } },
    ]);
  });

  test("a failing server costs the tokens alone", async () => {
    const { fetch } = service(() => undefined);
    const bench = pluginOf("token-producer", { modelName: "org/model" }, { fetch });
    await produced(bench);
    expect(tokens(bench)).toEqual({ prompts: [], tokenCount: 0 });
  });

  test("estimated without one", async () => {
    const bench = pluginOf("token-producer");
    await produced(bench);
    expect(tokens(bench).tokenCount).toBe(3);
  });
});

describe("predicted-latency-producer", () => {
  const record = (bench: Bench): LatencyPrediction =>
    bench.pipeline.data(LATENCY_PREDICTION, "predicted-latency-producer").of(bench.cycle);
  const predictions = [100, 200, 300].map((ttft_ms) => ({ ttft_ms, tpot_ms: 10 }));

  test("asks about every endpoint, and tells what is left of the objectives", async () => {
    const { asked, fetch } = service(() => ({ predictions }));
    const bench = pluginOf("predicted-latency-producer", undefined, { fetch });
    await produced(bench, completion("hello world", { headers: new Map([["x-llm-d-slo-ttft-ms", "250"]]) }));
    expect(asked[0]?.url).toBe("http://localhost:8001/predict/bulk/strict");
    expect(asked[0]?.body).toMatchObject({
      requests: [
        { kv_cache_percentage: 0.2, num_request_waiting: 0, input_token_length: 3, num_tokens_generated: 1 },
        { kv_cache_percentage: 0.55, num_request_waiting: 3 },
        { kv_cache_percentage: 0.9, num_request_waiting: 12 },
      ],
    });
    expect(record(bench).known).toBe(true);
    expect([...record(bench).ttftHeadroomMs.subarray(0, 3)]).toEqual([150, 50, -50]);
    expect([...record(bench).tpotHeadroomMs.subarray(0, 3)]).toEqual([0, 0, 0]);
  });

  test("without an answer nothing is known", async () => {
    const { fetch } = service(() => ({ predictions: [] }));
    const bench = pluginOf("predicted-latency-producer", undefined, { fetch });
    await produced(bench);
    expect(record(bench).known).toBe(false);
  });

  test("an endpoint that only prefills has no time per token to keep", async () => {
    const { fetch } = service(() => ({ predictions }));
    const labels = { role: "prefill" };
    const pool = [{ labels }, { labels: { role: "decode" } }, {}];
    const parameters = { streamingMode: true, endpointRoleLabel: "role" };
    const bench = pluginOf("predicted-latency-producer", parameters, { fetch, pool });
    const request = completion("x", { headers: new Map([["x-llm-d-slo-tpot-ms", "4"]]) });
    await produced(bench, { ...request, body: { ...request.body, stream: true } });
    expect([...record(bench).tpotHeadroomMs.subarray(0, 3)]).toEqual([0, -6, -6]);
  });

  test("predictions, latencies and missed objectives are measured", async () => {
    const { fetch } = service((url) => (url.includes("training") ? {} : { predictions }));
    const bench = pluginOf("predicted-latency-producer", { streamingMode: true }, { fetch, now: () => 1 });
    await produced(
      bench,
      completion("x", {
        headers: new Map([
          ["x-slo-ttft-ms", "40"],
          ["x-slo-tpot-ms", "40"],
        ]),
      }),
    );
    const ticket = bench.decide(1);
    const usage = { promptTokens: 3, completionTokens: 11, totalTokens: 14, cachedTokens: undefined };
    const summary = { status: 200, usage, responseBytes: 1, firstByteMs: 50, durationMs: 150 };
    bench.plugin.onComplete?.(ticket, { ...summary, termination: "natural" });
    const page = await bench.metrics.render();
    const models = 'model_name="m",target_model_name="m"';
    const own = `plugin_name="predicted-latency-producer",plugin_type="predicted-latency-producer",${models}`;
    for (const line of [
      `llm_d_epp_request_predicted_ttft_seconds_sum{${own}} 0.2`,
      `inference_objective_request_predicted_tpot_seconds_sum{${models}} 0.01`,
      `llm_d_epp_request_ttft_prediction_duration_seconds_count{${own}} 1`,
      `llm_d_epp_inference_request_metric{${own},type="ttft"} 0.05`,
      `llm_d_epp_inference_request_metric{${own},type="ttft_slo_violation"} 1`,
      `llm_d_epp_inference_request_metric{${own},type="tpot_slo_violation"} 0`,
      `llm_d_epp_request_slo_violation_total{${own},type="ttft"} 1`,
    ])
      expect(page).toContain(line);
    expect(page).not.toContain(`slo_violation_total{${own},type="tpot"}`);
  });

  test("finished requests become training rows", async () => {
    const { asked, fetch } = service((url) => (url.includes("training") ? {} : { predictions }));
    const bench = pluginOf("predicted-latency-producer", { streamingMode: true }, { fetch });
    await produced(bench);
    const ticket = bench.decide(1);
    const usage = { promptTokens: 3, completionTokens: 11, totalTokens: 14, cachedTokens: undefined };
    const summary = { status: 200, usage, responseBytes: 1, firstByteMs: 50, durationMs: 150 };
    bench.plugin.onComplete?.(ticket, { ...summary, termination: "natural" });
    expect(asked.at(-1)).toMatchObject({
      url: "http://localhost:8000/add_training_data_bulk",
      body: { entries: [{ actual_ttft_ms: 50, actual_tpot_ms: 10, num_request_waiting: 3 }] },
    });
  });
});

describe("burst placement", () => {
  const replicas = [0, 1].map((slot) => ({ slot, running: 0, name: `p${slot}` }));
  const rules = { maxPerReplica: -1, minColocateBlocks: 0, balanceBy: "requests" as const };
  const members = (...blocks: readonly (readonly number[])[]) => blocks.map((own) => ({ blocks: own }));

  test("equal prompts meet, groups spread", () => {
    expect(placeBurst(members([1, 2], [1, 2], [3], [3], [4]), replicas, rules)).toEqual([0, 0, 1, 1, -1]);
  });
  test("a limit for each replica makes a group spill", () => {
    expect(placeBurst(members([1], [1], [1], [1]), replicas, { ...rules, maxPerReplica: 2 })).toEqual([0, 0, 1, 1]);
  });
  test("shared heads bring different prompts together", () => {
    const sharing = { ...rules, minColocateBlocks: 2, maxPerReplica: -1 };
    expect(placeBurst(members([1, 2, 3], [1, 2, 4], [9]), replicas, sharing)).toEqual([0, 1, -1]);
    expect(placeBurst(members([1, 2, 3], [1, 2, 4], [5, 6], [5, 7], [1, 2, 5], [1, 2, 6]), replicas, sharing)[1]).toBe(
      0,
    );
  });
  test("empty prompts and none at all", () => {
    expect(placeBurst(members([], []), replicas, rules)).toEqual([-1, -1]);
    expect(placeBurst(members([1], [1]), [], rules)).toEqual([-1, -1]);
  });
});

test("burst-prefix-cache-producer sends equal prompts of a window to one endpoint", async () => {
  const bench = pluginOf("burst-prefix-cache-producer", { windowDurationMs: 1 });
  const [{ at, plugin }] = bench.pipeline.preparers as [(typeof bench.pipeline.preparers)[number]];
  const ask = (): Promise<unknown> => {
    bench.begin(completion("same prompt"));
    bench.pipeline.producers.slice(0, at).forEach((producer) => producer.produce?.(bench.cycle));
    return plugin.prepare?.(bench.cycle, never) ?? Promise.reject(new Error("nothing to prepare"));
  };
  const [first, second] = await Promise.all([ask(), ask()]);
  expect(first).toEqual(second);
  expect(first).toMatchObject({ slot: 0 });
});

describe("p2p-source-producer", () => {
  const decided = (cachedBlocks: readonly number[], slot: number): ReadonlyMap<string, string> => {
    const bench = pluginOf("p2p-source-producer");
    const match = Float64Array.from(cachedBlocks);
    bench.put(PREFIX_MATCH, "approx-prefix-cache-producer", {
      cachedBlocks: match,
      blockSizeTokens: 64,
      totalBlocks: 8,
    });
    bench.plugin.produce?.(bench.cycle);
    const set = new Map<string, string>();
    const result = {
      profile: "default",
      slots: Int32Array.of(slot),
      totals: new Float64Array(1),
      count: 1,
      targetCount: 1,
    };
    bench.plugin.preRequest?.(bench.cycle, {
      primary: { ...result, refusal: undefined },
      results: bench.cycle.results,
      ticket: { request: bench.cycle.request, slot, generation: 0, states: [] },
      destinations: [],
      setHeader: (name, value) => void set.set(name, value),
      removeHeader: () => undefined,
    });
    return set;
  };
  test("names the endpoint with more of the prompt", () => {
    expect([...decided([0, 6, 1], 0)]).toEqual([["x-kv-cache-source-host-port", "10.0.0.2:8000"]]);
  });
  test.each([
    [[0, 6, 1], 1],
    [[0, 0, 0], 0],
  ])("%j, chosen %d: none", (cachedBlocks, slot) => expect(decided(cachedBlocks, slot).size).toBe(0));
});

test("mm-embeddings-cache-producer remembers the parts that endpoints have seen", async () => {
  const content = ["http://x", "http://y", "http://x"].map((url) => ({ type: "image_url", image_url: { url } }));
  const json = { messages: [{ role: "user", content: [...content, { type: "video_url", video_url: { url: "v" } }] }] };
  const body = createParsers().parse("/v1/chat/completions", Buffer.from(JSON.stringify(json)));
  const request = { ...benchRequest(), body };
  const bench = pluginOf("mm-embeddings-cache-scorer", undefined, {
    others: [{ type: "mm-embeddings-cache-producer" }],
  });
  const producer = bench.pipeline.plugins[1];
  await produced(bench, request);
  expect(bench.scores()).toEqual([0, 0, 0]);
  const targets = { slots: Int32Array.of(2), totals: new Float64Array(1), count: 1, targetCount: 1 };
  const primary = { profile: "default", ...targets, refusal: undefined };
  producer?.preRequest?.(bench.cycle, { primary, results: bench.cycle.results } as never);
  await produced(bench, request);
  expect(bench.scores()).toEqual([0, 0, 1]);
  producer?.preRequest?.(bench.cycle, { primary, results: bench.cycle.results } as never);
  const page = await bench.metrics.render();
  const labels = 'plugin_type="mm-embeddings-cache-producer",plugin_name="mm-embeddings-cache-producer"';
  for (const line of [
    `llm_d_epp_encoder_cache_queries_total{${labels},modality="image"} 4`,
    `llm_d_epp_encoder_cache_hits_total{${labels},pod="pod-c",modality="image"} 2`,
    `llm_d_epp_encoder_cache_hits_total{${labels},pod="pod-c",modality="video"} 1`,
    `llm_d_epp_encoder_cache_hit_ratio_sum{${labels},modality="video"} 1`,
    `llm_d_epp_encoder_cache_hit_ratio_count{${labels},modality="video"} 2`,
  ])
    expect(page).toContain(line);
  producer?.onEndpointRemoved?.(2);
  await produced(bench, request);
  expect(bench.scores()).toEqual([0, 0, 0]);
});

describe("approx-prefix-cache-producer", () => {
  test("returns to where the prefix was sent", async () => {
    const bench = pluginOf("approx-prefix-cache-producer");
    const record = (): PrefixMatch => bench.pipeline.data(PREFIX_MATCH, "approx-prefix-cache-producer").of(bench.cycle);
    await produced(bench, completion("x".repeat(1024)));
    expect([record().totalBlocks, record().blockSizeTokens, [...record().match.subarray(0, 3)]]).toEqual([
      4,
      64,
      [0, 0, 0],
    ]);
    bench.decide(1);
    await produced(bench, completion("x".repeat(1024)));
    expect([...record().match.subarray(0, 3)]).toEqual([0, 4, 0]);
  });
});

describe("inflight-load-producer", () => {
  const summary = { status: 200, usage: undefined, responseBytes: 0, firstByteMs: 1, durationMs: 1 };
  const load = (bench: Bench) => bench.pipeline.data(IN_FLIGHT_LOAD, "inflight-load-producer").of(bench.cycle);

  test("counts a request until it ends, its tokens until the first byte", async () => {
    const bench = pluginOf("inflight-load-producer");
    await produced(bench);
    const ticket = bench.decide(1);
    expect([load(bench).requests[1], load(bench).tokens[1]]).toEqual([1, 3]);
    const labels = 'endpoint_name="pod-b",namespace="default",producer_name="inflight-load-producer"';
    expect(await bench.metrics.render()).toContain(
      `llm_d_epp_inflight_requests{${labels},fairness_id="f",priority="0"} 1`,
    );
    bench.plugin.onFirstChunk?.(ticket);
    expect([load(bench).requests[1], load(bench).tokens[1]]).toEqual([1, 0]);
    bench.plugin.onComplete?.(ticket, { ...summary, termination: "natural" });
    expect(load(bench).requests[1]).toBe(0);
    expect(await bench.metrics.render()).not.toContain("llm_d_epp_inflight_requests{");
  });

  test("what went to an endpoint that is gone is not taken from the next one in its slot", async () => {
    const bench = pluginOf("inflight-load-producer");
    await produced(bench);
    const ticket = bench.decide(1);
    const { store, plugin } = bench;
    const place = { ...store.metadata(1), name: "pod-d", podName: "pod-d", hostPort: "10.0.0.4:8000" };
    store.remove("default/pod-b");
    plugin.onEndpointRemoved?.(1);
    expect(store.upsert(place)).toBe(1);
    await produced(bench);
    bench.decide(1);
    plugin.onComplete?.(ticket, { ...summary, termination: "natural" });
    expect(load(bench).requests[1]).toBe(1);
  });
});
