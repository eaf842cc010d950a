import { expect, test } from "@jest/globals";
import { parseSchedulerFlags } from "../options.ts";
import { engineOf, VLLM } from "./engines.ts";
import { type DataLayerInput, dataLayerSettings } from "./settings.ts";

function settings(given: { args?: readonly string[] } & Partial<DataLayerInput> = {}) {
  const { args = [], ...rest } = given;
  const { options } = parseSchedulerFlags(["--pool-name=p", ...args], {});
  return dataLayerSettings({
    flags: options.modelServerMetrics,
    refreshMs: options.refreshMetricsMs,
    stalenessMs: options.stalenessMs,
    source: undefined,
    extractor: undefined,
    multicluster: undefined,
    certificateFolders: undefined,
    ...rest,
  });
}

const spec = (name: string, ...labels: readonly (readonly [string, string])[]) => [{ name, labels }];

test("defaults", () => {
  const { pages, pace, engines } = settings();
  expect(pages).toMatchObject({ scheme: "http", path: "/metrics", port: 0, insecureSkipVerify: true });
  expect(pace).toEqual({ intervalMs: 50, idleIntervalMs: 1000 });
  expect(engines.fallback).toEqual(VLLM);
});

test.each([
  [["--kv-cache-usage-percentage-metric=vllm:kv_cache_usage_perc"]],
  [["--kv-cache-usage-percentage-metric", "vllm:kv_cache_usage_perc"]],
  [["-kv-cache-usage-percentage-metric", "vllm:kv_cache_usage_perc"]],
  [["--kvCacheUsagePercentageMetric=vllm:kv_cache_usage_perc"]],
])("the flag %j", (args) => {
  expect(settings({ args }).engines.fallback.kvUsage).toEqual(spec("vllm:kv_cache_usage_perc"));
});

test("all metric flags, with labels", () => {
  const args = [
    "--total-queued-requests-metric=q{kind=a}",
    "--totalRunningRequestsMetric=r",
    "--lora-info-metric=l",
    "--cache-info-metric=c",
  ];
  expect(settings({ args }).engines.fallback).toMatchObject({
    waiting: spec("q", ["kind", "a"]),
    running: spec("r"),
    lora: spec("l"),
    cacheInfo: spec("c"),
    kvUsage: VLLM.kvUsage,
  });
});

test("parameters of the source win over flags", () => {
  const args = ["--model-server-metrics-scheme=https", "--model-server-metrics-path=/a", "--modelServerMetricsPort=9"];
  expect(settings({ args }).pages).toMatchObject({ scheme: "https", path: "/a", port: 0 });
  const source = {
    scheme: "http",
    path: "/b",
    port: 10,
    insecureSkipVerify: false,
    caCertPath: "/ca",
    clientCertPath: "/c",
    clientKeyPath: "/k",
    bearerTokenFile: "/t",
  };
  expect(settings({ args, source, certificateFolders: "/x:/y" }).pages).toEqual({
    scheme: "http",
    path: "/b",
    port: 10,
    insecureSkipVerify: false,
    caFile: "/ca",
    certificateFile: "/c",
    keyFile: "/k",
    tokenFile: "/t",
    caFolders: ["/x", "/y"],
  });
});

test("the interval is a multiple of the tick, which is at least 50 ms; the idle one keeps values fresh", () => {
  expect(settings({ refreshMs: 10 }).pace.intervalMs).toBe(50);
  expect(settings({ refreshMs: 100, source: { interval: "260ms" } }).pace.intervalMs).toBe(300);
  expect(settings({ stalenessMs: 400 }).pace).toEqual({ intervalMs: 50, idleIntervalMs: 200 });
  expect(settings({ refreshMs: 5000 }).pace).toEqual({ intervalMs: 5000, idleIntervalMs: 5000 });
});

test("engines of the configuration", () => {
  const extractor = {
    engineLabelKey: "my/engine",
    defaultEngine: "mine",
    engineConfigs: [
      { name: "vllm", kvUsageSpec: "kv", loraSpec: "" },
      {
        name: "mine",
        queuedRequestsSpec: "q{a=b}",
        cacheInfoSpec: "info",
        cacheBlockSizeLabelName: "bs",
        cacheNumBlocksLabelName: "nb",
        cacheBlockSizeSpec: "gb",
        cacheNumBlocksSpec: "gn",
        customMetrics: [{ attributeKey: "Depth", metricSpec: "d{x=y}" }],
      },
    ],
  };
  const { engines } = settings({ extractor });
  expect(engines.fallback).toEqual({
    waiting: spec("q", ["a", "b"]),
    running: [],
    kvUsage: [],
    lora: [],
    cacheInfo: spec("info"),
    blockSizeLabel: "bs",
    numBlocksLabel: "nb",
    blockSize: spec("gb"),
    numBlocks: spec("gn"),
    custom: [{ attribute: "Depth", metric: spec("d", ["x", "y"])[0] }],
  });
  const vllm = engineOf({ "my/engine": "vllm", "llm-d.ai/engine-type": "sglang" }, engines);
  expect([vllm.kvUsage, vllm.lora, vllm.waiting]).toEqual([spec("kv"), [], VLLM.waiting]);
  expect(engineOf({ "llm-d.ai/engine-type": "sglang" }, engines).waiting).toEqual(spec("sglang:num_queue_reqs"));
});

test("pages of other clusters' schedulers", () => {
  const { engines } = settings({ multicluster: { queueSizeMetric: "q" } });
  const engine = engineOf({ "llm-d.ai/engine-type": "sglang" }, engines);
  expect([engine.waiting, engine.kvUsage]).toEqual([spec("q"), spec("llm_d_epp_average_kv_cache_utilization")]);
  expect(engine.custom.map(({ attribute }) => attribute)).toEqual([
    "llm-d.ai/multicluster-queue-size",
    "llm-d.ai/multicluster-kv-cache-utilization",
  ]);
});

test("a metric spec that cannot be read is refused by name", () => {
  expect(() => settings({ extractor: { engineConfigs: [{ name: "vllm", kvUsageSpec: "kv{a" }] } })).toThrow('"kv{a"');
});
