import { describe, expect, test } from "@jest/globals";
import { IN_FLIGHT_LOAD, LATENCY_PREDICTION, PREFIX_MATCH } from "../../framework/data.ts";
import { createReport } from "../../framework/problem.ts";
import { type Bench, benchRequest, pluginOf } from "../../../test/scheduler/plugin-bench.ts";
import { parseSelectorText } from "./selector.ts";

const ROLES = [{ labels: { "llm-d.ai/role": "decode" } }, { labels: { "llm-d.ai/role": "prefill" } }, {}];

function withPrefix(bench: Bench): Bench {
  const match = Float64Array.of(2, 6, 0);
  bench.put(PREFIX_MATCH, "approx-prefix-cache-producer", { match, cachedBlocks: match, totalBlocks: 8 });
  bench.put(IN_FLIGHT_LOAD, "inflight-load-producer", { tokens: Float64Array.of(0, 300_000, 1_500_000) });
  return bench;
}

describe("worked examples: pods a, b and c", () => {
  test.each([
    ["decode-filter", ["pod-a", "pod-c"]],
    ["prefill-filter", ["pod-b"]],
    ["encode-filter", []],
  ])("%s", (type, expected) => {
    expect(pluginOf(type, undefined, { pool: ROLES }).kept()).toEqual(expected);
  });

  test.each(["decode", "prefill-decode", "both", "encode-prefill-decode", "encode-decode", "", "prefill"])(
    "role %j",
    (role) => {
      const pool = [{ labels: { "llm-d.ai/role": role } }];
      const kept = (type: string): boolean => pluginOf(type, undefined, { pool }).kept().length > 0;
      expect([kept("decode-filter"), kept("prefill-filter"), kept("encode-filter")]).toEqual([
        ["decode", "prefill-decode", "both", "encode-prefill-decode", "encode-decode"].includes(role),
        ["prefill", "prefill-decode", "both", "encode-prefill-decode"].includes(role),
        ["encode-prefill-decode", "encode-decode"].includes(role),
      ]);
    },
  );

  test.each([
    ["utilization-detector", { queueDepthThreshold: 5, kvCacheUtilThreshold: 0.8 }, ["pod-a", "pod-b"]],
    ["utilization-detector", { queueDepthThreshold: 1, kvCacheUtilThreshold: 0.1 }, ["pod-a", "pod-b", "pod-c"]],
    ["utilization-filter", { conditions: [{ metric: "waiting-queue", maxValue: 3 }] }, ["pod-a", "pod-b"]],
    ["utilization-filter", { conditions: [{ metric: "waiting-queue", maxValue: 0 }] }, ["pod-a"]],
    [
      "utilization-filter",
      { conditions: [{ metric: "kv-cache-utilization", maxValue: 0.1 }], fallbackOnEmpty: true },
      ["pod-a", "pod-b", "pod-c"],
    ],
    ["prefix-cache-affinity-filter", { affinityThreshold: 0.5, maxTTFTPenaltyMs: 0 }, ["pod-b"]],
    ["prefix-cache-affinity-filter", { affinityThreshold: 0.5 }, ["pod-a", "pod-b", "pod-c"]],
    ["prefix-cache-affinity-filter", { affinityThreshold: 0.5, maxTTFTPenaltyMs: 18_835 }, ["pod-b"]],
    ["prefix-cache-affinity-filter", { affinityThreshold: 0 }, ["pod-a", "pod-b", "pod-c"]],
    ["by-label", { label: "llm-d.ai/context-length-range", validValues: ["0-2000"] }, ["pod-a"]],
    ["by-label", { label: "llm-d.ai/context-length-range", validValues: [""] }, []],
    ["by-label", { label: "llm-d.ai/context-length-range", allowsNoLabel: true }, ["pod-c"]],
    ["label-selector-filter", {}, ["pod-a", "pod-b", "pod-c"]],
    ["label-selector-filter", { matchLabels: { "llm-d.ai/context-length-range": "0-2000" } }, ["pod-a"]],
    [
      "by-label-selector",
      { matchExpressions: [{ key: "llm-d.ai/context-length-range", operator: "Exists" }] },
      ["pod-a", "pod-b"],
    ],
  ])("%s %j", (type, parameters, expected) => {
    expect(withPrefix(pluginOf(type, parameters)).kept()).toEqual(expected);
  });
});

test("what a filter dropped has a reason", () => {
  const { plugin, cycle } = pluginOf("decode-filter", undefined, { pool: ROLES });
  expect(plugin.dropReason?.(cycle, 1)).toBe("role prefill");
  const { plugin: limit, cycle: at } = pluginOf("utilization-filter", {
    conditions: [{ metric: "waiting-queue", maxValue: 3 }],
  });
  expect(limit.dropReason?.(at, 2)).toBe("waiting-queue 12 > 3");
});

describe("endpoint-attribute-filter", () => {
  const pool = [{ attributes: new Map([["X", 30]]) }, { attributes: new Map([["X", 60]]) }, {}];
  const parameters = (operator: string, more: object = {}) => ({
    attribute: "X",
    algorithm: { type: "threshold", threshold: { operator, value: 30 } },
    ...more,
  });
  test.each([
    [parameters("LessThanOrEqual"), ["pod-a", "pod-c"]],
    [parameters("GreaterThan", { onMissing: "Fail" }), ["pod-b"]],
    [parameters("NotEqual", { onMissing: "Fail" }), ["pod-b"]],
    [parameters("LessThan", { onMissing: "Fail" }), []],
    [parameters("LessThan", { onMissing: "Fail", fallbackOnEmpty: true }), ["pod-a", "pod-b", "pod-c"]],
    [parameters("Equal", { attribute: "WaitingQueueSize" }), []],
  ])("%j", (given, expected) => {
    expect(pluginOf("endpoint-attribute-filter", given, { pool }).kept()).toEqual(expected);
  });

  test("a former spelling names the producer after a slash", () => {
    const given = { ...parameters("LessThan"), attribute: "WaitingQueueSize/core-metrics-extractor" };
    expect(pluginOf("endpoint-attribute-filter", given).kept()).toEqual(["pod-a", "pod-b", "pod-c"]);
  });
});

describe("header-based-testing-filter", () => {
  test.each([
    ["10.0.0.3,10.0.0.1:8000", ["pod-c", "pod-a"]],
    ["10.0.0.3, 10.0.0.3:8000 ,10.0.0.9", ["pod-c"]],
    ["10.0.0.1:9000", []],
    ["", []],
  ])("%j", (value, expected) => {
    const bench = pluginOf("header-based-testing-filter");
    bench.begin(benchRequest({ headers: new Map([["test-epp-endpoint-selection", value]]) }));
    expect(bench.kept()).toEqual(expected);
  });
});

test("session-affinity-filter keeps the endpoint of the session, or all", () => {
  const bench = pluginOf("session-affinity-filter");
  expect(bench.kept()).toHaveLength(3);
  bench.begin(benchRequest({ headers: new Map([["x-session-token", "ZGVmYXVsdC9wb2QtYg=="]]) }));
  expect(bench.kept()).toEqual(["pod-b"]);
});

test("topology-affinity-filter keeps what is near the endpoint picked before", () => {
  const host = (name: string) => ({ labels: { "kubernetes.io/hostname": name } });
  const bench = pluginOf("topology-affinity-filter", undefined, { pool: [host("a"), host("b"), host("a")] });
  bench.produce();
  expect(bench.kept()).toHaveLength(3);
  bench.cycle.peerSlot = 2;
  expect(bench.kept()).toEqual(["pod-a", "pod-c"]);
});

test.each([
  [0.5, ["pod-a"]],
  [0.001, ["pod-b", "pod-c"]],
])("slo-headroom-tier-filter, chance %d", (chance, expected) => {
  const bench = pluginOf("slo-headroom-tier-filter", undefined, { random: [chance] });
  bench.put(LATENCY_PREDICTION, "predicted-latency-producer", {
    known: true,
    ttftHeadroomMs: Float64Array.of(10, -5, NaN),
    tpotHeadroomMs: Float64Array.of(0, 10, NaN),
  });
  expect(bench.kept()).toEqual(expected);
});

describe("selectors as text", () => {
  test.each([
    ["a=b", [{ key: "a", operator: "In", values: ["b"] }]],
    [
      "x.io/a==b, c!=d",
      [
        { key: "x.io/a", operator: "In", values: ["b"] },
        { key: "c", operator: "NotIn", values: ["d"] },
      ],
    ],
    [
      "a in (b, c),!d,e",
      [
        { key: "a", operator: "In", values: ["b", "c"] },
        { key: "d", operator: "DoesNotExist" },
        { key: "e", operator: "Exists" },
      ],
    ],
  ])("%s", (text, matchExpressions) => {
    expect(parseSelectorText(text)).toEqual({ matchExpressions });
  });
  test("nonsense is none", () => expect(parseSelectorText("a = = b")).toBeUndefined());
});

test("an expression without values is told at once", () => {
  const report = createReport();
  const bad = {
    matchExpressions: [
      { key: "a", operator: "In" },
      { key: "b", operator: "Exists", values: ["x"] },
    ],
  };
  expect(() => pluginOf("label-selector-filter", bad)).toThrow("matchExpressions[1].values");
  expect(report.errors).toEqual([]);
});
