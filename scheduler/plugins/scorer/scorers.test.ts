import { describe, expect, test } from "@jest/globals";
import {
  IN_FLIGHT_LOAD,
  LATENCY_PREDICTION,
  MULTIMODAL_MATCH,
  PREFIX_MATCH,
  TOKENIZED_PROMPT,
  UNCACHED_TOKENS,
} from "../../framework/data.ts";
import { type Bench, benchRequest, type BenchOptions, pluginOf, POOL } from "../../../test/scheduler/plugin-bench.ts";

const PREFIX = "approx-prefix-cache-producer";
const LOAD = "inflight-load-producer";

/** Puts the data of the worked examples in place. */
function fill(bench: Bench, cold = false): Bench {
  const match = cold ? new Float64Array(3) : Float64Array.of(2, 6, 0);
  bench.put(PREFIX_MATCH, PREFIX, { match, cachedBlocks: match, totalBlocks: 8, blockSizeTokens: 64 });
  const load = { requests: Float64Array.of(0, 3, 6), tokens: Float64Array.of(0, 300_000, 1_500_000) };
  bench.put(IN_FLIGHT_LOAD, LOAD, load);
  bench.put(UNCACHED_TOKENS, LOAD, { tokens: Float64Array.of(4000, 1000, 5000) });
  bench.put(MULTIMODAL_MATCH, "mm-embeddings-cache-producer", { matched: Float64Array.of(2, 1, 0), requested: 3 });
  return bench;
}

describe("worked examples: pods a, b and c", () => {
  test.each([
    ["queue-scorer", undefined, [1, 0.75, 0]],
    ["running-requests-size-scorer", undefined, [1, 0.666667, 0]],
    ["kv-cache-utilization-scorer", undefined, [0.8, 0.45, 0.1]],
    ["prefix-cache-scorer", undefined, [0.25, 0.75, 0]],
    ["prefix-cache-scorer", { matchLengthWeight: 0.5, matchLengthScaleTokens: 512 }, [0.15625, 0.65625, 0]],
    ["prefix-cache-scorer", { matchLengthWeight: 0.5, matchLengthScaleTokens: 8192 }, [0.125122, 0.376099, 0]],
    ["load-aware-scorer", { threshold: 128 }, [0.5, 0.488281, 0.453125]],
    ["load-aware-scorer", { threshold: 8 }, [0.5, 0.3125, 0]],
    ["load-aware-scorer", { threshold: -1 }, [0.5, 0.488281, 0.453125]],
    ["active-request-scorer", undefined, [1, 0.5, 0]],
    ["active-request-scorer", { idleThreshold: 3, maxBusyScore: 0.5 }, [1, 1, 0]],
    ["active-request-scorer", { maxBusyScore: 0.5 }, [1, 0.25, 0]],
    ["token-load-scorer", undefined, [0.999046, 0.928236, 0.64118]],
    ["token-load-scorer", { queueThresholdTokens: 1_000_000 }, [0.996, 0.699, 0]],
    ["mm-embeddings-cache-scorer", undefined, [0.666667, 0.333333, 0]],
    ["no-hit-lru-scorer", undefined, [0.5, 0.5, 0.5]],
    ["latency-scorer", undefined, [0.68, 0.65, 0.03]],
  ])("%s %j", (type, parameters, expected) => {
    expect(fill(pluginOf(type, parameters)).scores()).toEqual(expected);
  });

  test.each([
    [1000, [0.813333, 0.15, 0.5]],
    [3000, [0.15, 0.778704, 0.5]],
    [9000, [0.0375, 0.165929, 0.5]],
  ])("context-length-aware, %d tokens", (tokenCount, expected) => {
    const bench = pluginOf("context-length-aware");
    bench.put(TOKENIZED_PROMPT, "token-producer", { tokenCount });
    expect(bench.scores()).toEqual(expected);
  });

  test("context-length-aware as a filter keeps what fits and what has no label", () => {
    const bench = pluginOf("context-length-aware", { enableFiltering: true });
    bench.put(TOKENIZED_PROMPT, "token-producer", { tokenCount: 1000 });
    expect(bench.kept()).toEqual(["pod-a", "pod-c"]);
  });

  test("lora-affinity-scorer", () => {
    const set = (...names: string[]): ReadonlySet<string> => new Set(names);
    const pool = [
      { activeModels: set("m"), waitingModels: set(), maxActiveModels: 4 },
      { activeModels: set("x"), waitingModels: set(), maxActiveModels: 4 },
      { activeModels: set("x", "y", "z"), waitingModels: set("m"), maxActiveModels: 4 },
    ];
    expect(pluginOf("lora-affinity-scorer", undefined, { pool }).scores()).toEqual([1, 0.8, 0.6]);
    expect(pluginOf("lora-affinity-scorer").scores()).toEqual([0, 0, 0]);
  });

  test.each([
    ["linear_lower_is_better", undefined, [1, 0, 0]],
    ["linear_lower_is_better", { fixedRange: { min: 0, max: 100 } }, [0.7, 0.4, 0]],
    ["linear_higher_is_better", { fixedRange: { min: 0, max: 100 } }, [0.3, 0.6, 0]],
  ])("endpoint-attribute-scorer %s %j", (type, normalization, expected) => {
    const pool = [{ attributes: new Map([["X", 30]]) }, { attributes: new Map([["X", 60]]) }, {}];
    const parameters = { attributeKey: "X", algorithm: { type, normalization } };
    expect(pluginOf("endpoint-attribute-scorer", parameters, { pool }).scores()).toEqual(expected);
  });

  test.each([
    [[], [1, 0.5, 0]],
    [[1], [1, 0, 0.5]],
    [
      [1, 0],
      [0, 0.5, 1],
    ],
    [
      [2, 0, 1],
      [0.5, 0, 1],
    ],
  ])("no-hit-lru-scorer, cold, used in the order %j", (used, expected) => {
    const bench = fill(pluginOf("no-hit-lru-scorer"), true);
    for (const slot of used) bench.decide(slot);
    expect(bench.scores()).toEqual(expected);
  });

  test.each([
    ["least", [0.66, 1, 0.01]],
    ["most", [0.35, 0.01, 1]],
  ])("latency-scorer with predictions, %s headroom", (headroomSelectionStrategy, expected) => {
    const bench = fill(pluginOf("latency-scorer", { headroomSelectionStrategy }));
    bench.put(LATENCY_PREDICTION, "predicted-latency-producer", {
      known: true,
      ttftHeadroomMs: Float64Array.of(150, 50, 400),
      tpotHeadroomMs: Float64Array.of(20, 5, 30),
      dispatched: new Float64Array(3),
    });
    expect(bench.scores()).toEqual(expected);
  });
});

describe("degenerate pools", () => {
  const equal: BenchOptions = { pool: [{ waiting: 3 }, { waiting: 3 }] };
  const one: BenchOptions = { pool: POOL.slice(2) };
  test.each([
    ["queue-scorer", equal, [1, 1]],
    ["queue-scorer", one, [1]],
    ["running-requests-size-scorer", equal, [1, 1]],
    ["no-hit-lru-scorer", one, [1]],
    ["prefix-cache-scorer", equal, [0, 0]],
  ])("%s", (type, options, expected) => {
    expect(pluginOf(type, undefined, options).scores()).toEqual(expected);
  });
});

describe("by header, label and nearness", () => {
  const pool = [
    { labels: { slice: "1", "kubernetes.io/hostname": "h1", "topology.kubernetes.io/zone": "z1" } },
    { labels: { slice: "2", "kubernetes.io/hostname": "h2", "topology.kubernetes.io/zone": "z1" } },
    { labels: { "kubernetes.io/hostname": "h3", "topology.kubernetes.io/zone": "z2" } },
  ];

  test("header-label-affinity-scorer", () => {
    const parameters = { headerName: "X-Slice", labelKey: "slice" };
    const bench = pluginOf("header-label-affinity-scorer", parameters, { pool });
    expect(bench.scores()).toEqual([0, 0, 0]);
    bench.begin(benchRequest({ headers: new Map([["x-slice", "2"]]) }));
    expect(bench.scores()).toEqual([0, 1, 0]);
  });

  test("topology-affinity-scorer", () => {
    const bench = pluginOf("topology-affinity-scorer", undefined, { pool });
    bench.produce();
    expect(bench.scores()).toEqual([0, 0, 0]);
    bench.cycle.peerSlot = 0;
    expect(bench.scores()).toEqual([1, 0.05, 0]);
  });
});

describe("session-affinity-scorer", () => {
  const TOKEN = "ZGVmYXVsdC9wb2QtYg==";

  test("a token names the endpoint; an unknown one names none", () => {
    const bench = pluginOf("session-affinity-scorer");
    for (const [token, expected] of [
      [TOKEN, [0, 1, 0]],
      ["bm9ib2R5", [0, 0, 0]],
      ["", [0, 0, 0]],
    ] as const) {
      bench.begin(benchRequest({ headers: new Map([["x-session-token", token]]) }));
      expect(bench.scores()).toEqual(expected);
    }
  });

  test("the answer carries the token of the endpoint that served", () => {
    const bench = pluginOf("session-affinity-scorer");
    const ticket = bench.decide(1, 0);
    expect(bench.plugin.onResponseHeaders?.(ticket, new Map(), undefined)).toEqual([["x-session-token", TOKEN]]);
    const fallback = Buffer.from("default/pod-a").toString("base64");
    expect(bench.plugin.onResponseHeaders?.(ticket, new Map(), "10.0.0.1:8000")).toEqual([
      ["x-session-token", fallback],
    ]);
  });

  test("signed tokens count only with their signature", () => {
    const environment = { SESSION_KEY: "secret" };
    const encodedEndpointHeaderConfig = { signingKeyEnv: "SESSION_KEY" };
    const bench = pluginOf("session-affinity-scorer", { encodedEndpointHeaderConfig }, { environment });
    const ask = (token: string): readonly number[] => {
      bench.begin(benchRequest({ headers: new Map([["x-session-token", token]]) }));
      return bench.scores();
    };
    const [[, token] = ["", ""]] = bench.plugin.onResponseHeaders?.(bench.decide(1), new Map(), undefined) ?? [];
    expect(ask(token)).toEqual([0, 1, 0]);
    for (const forged of [TOKEN, `${TOKEN}.`, token.replace(/^./, "Y"), `${token}A`])
      expect(ask(forged)).toEqual([0, 0, 0]);
    expect(() => pluginOf("session-affinity-scorer", { encodedEndpointHeaderConfig })).toThrow(
      "SESSION_KEY is not set",
    );
  });

  test("an id moves when the remembered profile had not its endpoint, whatever other profiles had", () => {
    const bench = pluginOf("session-affinity-scorer", { strategy: "session_id" });
    const headers = new Map([["x-session-id", "s"]]);
    const scoreIn = (profile: string, slots: readonly number[]): number[] => {
      const scores = new Float64Array(slots.length);
      bench.cycle.profile = profile;
      bench.plugin.score?.(bench.cycle, Int32Array.from(slots), slots.length, scores);
      return [...scores];
    };
    bench.begin(benchRequest({ headers }));
    bench.decide(1);
    bench.begin(benchRequest({ headers }));
    expect(scoreIn("default", [0, 1, 2])).toEqual([0, 1, 0]);
    expect(scoreIn("prefill", [0, 2])).toEqual([0, 0]);
    bench.decide(2);
    bench.begin(benchRequest({ headers }));
    expect(scoreIn("default", [0, 2])).toEqual([0, 0]);
    bench.decide(2);
    bench.begin(benchRequest({ headers }));
    expect(scoreIn("default", [0, 1, 2])).toEqual([0, 0, 1]);
  });

  test("an id stays with its endpoint until that is gone or the id is idle", () => {
    const bench = pluginOf("session-affinity-scorer", { strategy: "session_id" });
    const ask = (slot: number, atMs: number): readonly number[] => {
      bench.begin(benchRequest({ headers: new Map([["x-session-id", "s"]]) }));
      bench.cycle.nowMs = atMs;
      const scores = bench.scores();
      bench.decide(slot);
      return scores;
    };
    expect(ask(1, 1000)).toEqual([0, 0, 0]);
    expect(ask(0, 2000)).toEqual([0, 1, 0]);
    expect(ask(1, 3000)).toEqual([0, 1, 0]);
    expect(ask(1, 304_000)).toEqual([0, 1, 0]);
    bench.store.remove("default/pod-b");
    bench.store.upsert({ ...bench.store.metadata(0), name: "pod-d", podName: "pod-d", hostPort: "10.0.0.4:8000" });
    expect(ask(0, 305_000)).toEqual([0, 0, 0]);
    expect(ask(0, 306_000)).toEqual([1, 0, 0]);
  });
});
