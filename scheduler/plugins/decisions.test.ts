import { describe, expect, test } from "@jest/globals";
import { createParsers } from "../parsers/parsers.ts";
import { PREFIX_MATCH, TOKENIZED_PROMPT } from "../framework/data.ts";
import { benchRequest, pluginOf } from "../../test/scheduler/plugin-bench.ts";

describe("prefix-based-pd-decider: 512 tokens, 6 cached blocks of 64", () => {
  test.each([
    [{ nonCachedTokens: 128 }, true],
    [{ nonCachedTokens: 129 }, false],
    [{ nonCachedTokens: 0 }, false],
    [{ nonCachedTokens: 128, promptTokens: 513 }, false],
  ])("%j", (parameters, expected) => {
    const bench = pluginOf("prefix-based-pd-decider", parameters);
    const cachedBlocks = Float64Array.of(6);
    bench.put(PREFIX_MATCH, "approx-prefix-cache-producer", { cachedBlocks, totalBlocks: 8, blockSizeTokens: 64 });
    bench.put(TOKENIZED_PROMPT, "token-producer", { tokenCount: 512 });
    expect(bench.plugin.decide?.(bench.cycle, 0)).toBe(expected);
  });
});

test("prefix-based-pd-decider: of a prompt shorter than a block nothing is cached", () => {
  const bench = pluginOf("prefix-based-pd-decider", { nonCachedTokens: 10 });
  bench.put(PREFIX_MATCH, "approx-prefix-cache-producer", { cachedBlocks: Float64Array.of(6), totalBlocks: 0 });
  bench.put(TOKENIZED_PROMPT, "token-producer", { tokenCount: 20 });
  expect(bench.plugin.decide?.(bench.cycle, 0)).toBe(true);
});

describe("always-disagg-multimodal-decider", () => {
  const message = (part: unknown) => ({ messages: [{ role: "user", content: [part] }] });
  test.each([
    [{ type: "text", text: 'say "image"' }, false],
    [{ type: "image_url", image_url: { url: "http://x/y.png" } }, true],
    [{ type: "input_audio", input_audio: { data: "", format: "wav" } }, true],
    [{ type: "video_url", video_url: { url: "http://x/y.mp4" } }, true],
  ])("%j", (part, expected) => {
    const bench = pluginOf("always-disagg-multimodal-decider");
    const body = createParsers().parse("/v1/chat/completions", Buffer.from(JSON.stringify(message(part))));
    bench.begin({ ...benchRequest(), body });
    bench.produce();
    expect(bench.plugin.decide?.(bench.cycle, 0)).toBe(expected);
  });
});

describe("saturation detectors", () => {
  const saturationOf = (type: string, parameters: unknown, stale: readonly number[] = []): number | undefined => {
    const { plugin, cycle, store } = pluginOf(type, parameters);
    for (const slot of stale) store.updatedAtMs[slot] = 1;
    return plugin.saturation?.(cycle, cycle.candidates, cycle.candidateCount);
  };
  test.each([
    [[], 1.1125],
    [[2], 0.645833],
    [[0, 1, 2], 1],
  ])("utilization-detector, %j stale", (stale, expected) => {
    expect(saturationOf("utilization-detector", undefined, stale)).toBeCloseTo(expected, 6);
  });

  test.each([
    [undefined, 50, 0.4125],
    [undefined, 500, 0.4125],
    [undefined, 40, 1],
    ["100ms", 500, 1],
  ])("one endpoint, threshold %s, read every %d ms", (metricsStalenessThreshold, metricsIntervalMs, expected) => {
    const parameters = { metricsStalenessThreshold, queueDepthThreshold: 100 };
    const { plugin, cycle } = pluginOf("utilization-detector", parameters, {
      metricsIntervalMs,
      pool: [{ kvUsage: 0.33, updatedAtMs: metricsIntervalMs === 50 ? 800 : 750 }],
    });
    expect(plugin.saturation?.(cycle, cycle.candidates, 1)).toBeCloseTo(expected, 6);
  });

  test("no endpoint is saturated", () => {
    const { plugin, cycle } = pluginOf("utilization-detector");
    expect(plugin.saturation?.(cycle, cycle.candidates, 0)).toBe(1);
  });
});

describe("probabilistic-admitter", () => {
  test.each([
    [0.2, 0.096],
    [0.25, 0.292969],
    [0.3, 0.729],
    [0.32, 1],
  ])("at saturation %d with probability %d", (saturation, probability) => {
    const pool = [{ waiting: saturation * 5, kvUsage: 0 }];
    const refusedAt = (chance: number): boolean => {
      const { plugin, cycle, begin } = pluginOf("probabilistic-admitter", undefined, { pool, random: [chance] });
      begin(benchRequest({ priority: -1 }));
      return plugin.admit?.(cycle) !== undefined;
    };
    expect(refusedAt(probability - 1e-6)).toBe(true);
    if (probability < 1) expect(refusedAt(probability + 1e-6)).toBe(false);
  });

  test("others are admitted", () => {
    const { plugin, cycle } = pluginOf("probabilistic-admitter", undefined, { pool: [{ waiting: 99 }] });
    expect(plugin.admit?.(cycle)).toBeUndefined();
  });
});

test.each([
  [{ cookieName: "sid" }, [["cookie", "a=b; sid=42 ; c=d"]], "42"],
  [{ headerName: "X-Session" }, [["x-session", " 7 "]], "7"],
  [{ headerName: "X-Session" }, [], ""],
] as const)("session-id-producer %j", (parameters, headers, expected) => {
  const bench = pluginOf("session-id-producer", parameters);
  bench.begin(benchRequest({ headers: new Map(headers) }));
  bench.produce();
  expect(bench.cycle.records).toContainEqual({ id: expected });
});

test.each([
  [
    [
      ["x-claude-code-session-id", "c"],
      ["x-mine", "m"],
    ],
    "m",
  ],
  [[["session_id", "s"]], "s"],
  [[], undefined],
] as const)("agent-identity %j", (headers, expected) => {
  const { plugin } = pluginOf("agent-identity", { additionalSessionHeaders: ["X-Mine"] });
  expect(plugin.fairnessId?.(new Map(headers))).toBe(expected);
});

describe("weighted-random-picker", () => {
  test("draws in proportion to the totals 4.35, 4.65, 0.2", () => {
    let state = 1;
    const next = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const { plugin, cycle } = pluginOf("weighted-random-picker", undefined, {
      random: Array.from({ length: 30_000 }, next),
    });
    const counts = [0, 0, 0];
    for (let i = 0; i < 20_000; i++) {
      const slots = Int32Array.of(0, 1, 2);
      plugin.pick?.(cycle, slots, Float64Array.of(4.35, 4.65, 0.2), 3);
      const first = slots[0] ?? 0;
      counts[first] = (counts[first] ?? 0) + 1;
    }
    [0.472826, 0.505435, 0.021739].forEach((share, index) =>
      expect((counts[index] ?? 0) / 20_000).toBeCloseTo(share, 1),
    );
  });

  test("max-score-picker names two targets, best first", () => {
    const { plugin, cycle } = pluginOf("max-score-picker", { maxNumOfEndpoints: 2 });
    const slots = Int32Array.of(0, 1, 2);
    expect(plugin.pick?.(cycle, slots, Float64Array.of(4.35, 4.65, 0.2), 3)).toBe(2);
    expect([...slots.subarray(0, 2)]).toEqual([1, 0]);
  });
});
