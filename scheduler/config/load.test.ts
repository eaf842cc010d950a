import { describe, expect, test } from "@jest/globals";
import { listShared, readShared } from "../../test/corpus.ts";
import { type LoadOptions, loadConfig } from "./load.ts";
import { validateEndpointPickerConfig } from "./validate.ts";

const CURRENT = "llm-d.ai/v1alpha1";
const FORMER = "inference.networking.x-k8s.io/v1alpha1";

function load(sections: object, options: LoadOptions = {}, apiVersion = CURRENT) {
  const found = loadConfig({ apiVersion, kind: "EndpointPickerConfig", ...sections }, options);
  return { ...found, paths: found.errors.map(({ path }) => path) };
}

test("nothing means the default configuration", () => {
  const { config } = loadConfig(undefined);
  expect(config?.handler).toBe("single-profile-handler");
  expect(config?.saturationDetector).toBe("utilization-detector");
  expect(config?.profiles[0]?.plugins.map(({ plugin, weight }) => [plugin, weight])).toEqual([
    ["queue-scorer", 2],
    ["kv-cache-utilization-scorer", 2],
    ["prefix-cache-scorer", 3],
    ["max-score-picker", 1],
  ]);
  const added = config?.plugins.filter(({ declared }) => !declared).map(({ name }) => name);
  expect(added).toEqual([
    "max-score-picker",
    "single-profile-handler",
    "fcfs-ordering-policy",
    "global-strict-fairness-policy",
    "static-usage-limit-policy",
    "utilization-detector",
    "approx-prefix-cache-producer",
    "token-producer",
  ]);
});

test.each(listShared("corpus/epp-configs/controller-defaults", ".yaml"))("%s loads", (path) => {
  expect(validateEndpointPickerConfig(readShared(path)).errors).toEqual([]);
});

test("tells all errors at once, with the likely intended name", () => {
  const { errors, paths } = load({
    plugins: [{ type: "queue-scorrer" }, { type: "load-aware-scorer", parameters: { treshold: 3 } }],
    schedulingProfiles: [{ name: "p", plugins: [{ pluginRef: "else" }] }, { name: "p" }],
    profils: [],
    featureGates: ["flowcontrol", "flowControl=maybe"],
  });
  expect(paths.toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    "featureGates[0]",
    "featureGates[1]",
    "plugins",
    "plugins[0].type",
    "plugins[1].parameters.treshold",
    "profils",
    "schedulingProfiles[0].plugins[0].pluginRef",
    "schedulingProfiles[1].name",
  ]);
  const remedyOf = (at: string): string | undefined => errors.find(({ path }) => path === at)?.remedy;
  expect(remedyOf("plugins[0].type")).toContain('"queue-scorer"');
  expect(remedyOf("plugins[1].parameters.treshold")).toContain('"threshold"');
  expect(remedyOf("featureGates[0]")).toContain('"flowControl"');
});

test.each([
  ["burst-prefix-cache-producer", { maxPerReplica: 0 }, "maxPerReplica"],
  ["burst-prefix-cache-producer", { maxBatchSize: 0 }, "maxBatchSize"],
  ["burst-prefix-cache-producer", { maxPrefixTokensToMatch: 63 }, "maxPrefixTokensToMatch"],
  ["burst-prefix-cache-producer", { maxPrefixTokensToMatch: 64, maxPerReplica: -1 }, undefined],
  ["approx-prefix-cache-producer", { autoTune: false, blockSizeTokens: 0 }, "blockSizeTokens"],
  ["approx-prefix-cache-producer", { autoTune: true, blockSizeTokens: 0 }, undefined],
  ["approx-prefix-cache-producer", { autoTune: false, blockSizeTokens: 16, blockSize: 32 }, undefined],
  ["core-metrics-extractor", { engineConfigs: [{ name: "x", loraSpec: "a{" }] }, "engineConfigs[0].loraSpec"],
  ["core-metrics-extractor", { engineConfigs: [{ name: "default" }] }, "engineConfigs[0].name"],
  [
    "core-metrics-extractor",
    { engineConfigs: [{ name: "x", customMetrics: [{ attributeKey: "a", metricSpec: "1b" }] }] },
    "engineConfigs[0].customMetrics[0].metricSpec",
  ],
])("bounds of %s: %j", (type, parameters, wrong) => {
  const { paths } = load({ plugins: [{ type, parameters }, { type: "queue-scorer" }] });
  expect(paths).toEqual(wrong === undefined ? [] : [`plugins[0].parameters.${wrong}`]);
});

test("a sole token producer of another name is used", () => {
  const { config } = load({ plugins: [{ type: "tokenizer", name: "mine" }, { type: "prefix-cache-scorer" }] });
  expect(config?.plugins.map(({ name }) => name)).not.toContain("token-producer");
  const two = load({
    plugins: [{ type: "tokenizer", name: "a" }, { type: "tokenizer", name: "b" }, { type: "prefix-cache-scorer" }],
  });
  expect(two.config?.plugins.map(({ name }) => name)).toContain("token-producer");
});

describe("former spellings", () => {
  test("thresholds of the first saturation detector; those out of range are the default", () => {
    const { config, warnings } = load(
      { saturationDetector: { queueDepthThreshold: 9, kvCacheUtilThreshold: 3, metricsStalenessThreshold: "1s" } },
      {},
      FORMER,
    );
    expect(config?.plugins.find(({ type }) => type === "utilization-detector")?.parameters).toMatchObject({
      queueDepthThreshold: 9,
      kvCacheUtilThreshold: 0.8,
      metricsStalenessThreshold: 1000,
    });
    expect(warnings.join("\n")).toContain("saturationDetector.queueDepthThreshold");
  });

  test("the environment of the first releases", () => {
    const environment = { ENABLE_EXPERIMENTAL_FLOW_CONTROL_LAYER: "true", SD_QUEUE_DEPTH_THRESHOLD: "7" };
    const { config } = load({}, { environment });
    expect(config?.gates.flowControl).toBe(true);
    const detector = config?.plugins.find(({ type }) => type === "utilization-detector");
    expect(detector?.parameters).toMatchObject({ queueDepthThreshold: 7 });
  });

  test("parameters of the index move from scorer to producer, characters to tokens", () => {
    const parameters = { hashBlockSize: 512, lruCapacityPerServer: 5 };
    const { config } = load({ plugins: [{ type: "prefix-cache-scorer", parameters }] });
    const producer = config?.plugins.find(({ type }) => type === "approx-prefix-cache-producer");
    expect(producer?.parameters).toMatchObject({ blockSizeTokens: 128, lruCapacityPerServer: 5 });
  });

  test("data, parser and the detector at the top", () => {
    const { config, errors } = load({
      plugins: [
        { type: "metrics-data-source", name: "mine" },
        { type: "core-metrics-extractor" },
        { type: "concurrency-detector" },
      ],
      data: { sources: [{ pluginRef: "mine", extractors: [{ pluginRef: "core-metrics-extractor" }] }] },
      parser: { pluginRef: "anthropic-parser" },
      saturationDetector: { pluginRef: "concurrency-detector" },
    });
    expect(errors).toEqual([]);
    expect(config?.dataSources).toEqual([{ source: "mine", extractors: ["core-metrics-extractor"] }]);
    expect(config?.parserTypes).toEqual(["anthropic-parser"]);
    expect(config?.saturationDetector).toBe("concurrency-detector");
  });

  test("unknown parameters are warnings in the former group alone", () => {
    const sections = { plugins: [{ type: "load-aware-scorer", parameters: { mode: "x" } }] };
    expect(load(sections, {}, FORMER).errors).toEqual([]);
    expect(load(sections).paths).toEqual(["plugins[0].parameters.mode"]);
  });

  test("types by their former names", () => {
    const { config, warnings } = load({ plugins: [{ type: "kv-cache-scorer" }] });
    expect(config?.plugins[0]).toMatchObject({ name: "kv-cache-scorer", type: "kv-cache-utilization-scorer" });
    expect(warnings).toEqual(["plugin type kv-cache-scorer is now called kv-cache-utilization-scorer"]);
  });
});

describe("flow control", () => {
  test("quantities round up, 0 is the default of a band, priority 0 is always there", () => {
    const { config } = load({
      featureGates: ["flowControl"],
      flowControl: {
        maxBytes: "1Gi",
        maxRequests: "500m",
        defaultRequestTTL: "90s",
        priorityBands: [{ priority: -10, maxRequests: 0, maxBytes: "1G" }, { priority: 100 }],
      },
    });
    expect(config?.flowControl).toMatchObject({
      maxBytes: 2 ** 30,
      maxRequests: 1,
      requestTtlMs: 90_000,
      noEndpointTtlMs: 90_000,
      bands: [{ priority: 100 }, { priority: 0 }, { priority: -10, maxRequests: 5000, maxBytes: 1e9 }],
    });
  });

  test("what is wrong is told; with the gate off policies are only warned about", () => {
    const flowControl = {
      maxBytes: -1,
      defaultRequestTTL: "-1s",
      priorityBands: [{ priority: 1, fairnessPolicyRef: "else" }, { priority: 1 }],
      saturationDetector: { pluginRef: "fcfs-ordering-policy" },
    };
    expect(load({ featureGates: ["flowControl"], flowControl }).paths).toEqual([
      "flowControl.maxBytes",
      "flowControl.defaultRequestTTL",
      "flowControl.priorityBands[1].priority",
      "flowControl: fairnessPolicyRef",
      "flowControl.saturationDetector.pluginRef",
    ]);
    const off = load({ flowControl: { priorityBands: [{ priority: 1, fairnessPolicyRef: "else" }] } });
    expect(off.errors).toEqual([]);
    expect(off.warnings.join("\n")).toContain("feature gate flowControl is off");
  });
});

describe("references", () => {
  test("of the wrong kind", () => {
    const { paths } = load({
      plugins: [
        { type: "queue-scorer" },
        { type: "disagg-profile-handler", parameters: { deciders: { prefill: "queue-scorer" } } },
        { type: "prefix-cache-scorer", parameters: { prefixMatchInfoProducerName: "queue-scorer" } },
      ],
      requestHandler: { parsers: [{ pluginRef: "queue-scorer" }] },
      dataLayer: { sources: [{ pluginRef: "queue-scorer", extractors: [{ pluginRef: "nobody" }] }] },
    });
    expect(paths).toEqual([
      "requestHandler.parsers[0].pluginRef",
      "dataLayer.sources[0].pluginRef",
      "dataLayer.sources[0].extractors[0].pluginRef",
      "plugin disagg-profile-handler: parameters.deciders.prefill",
      "plugin prefix-cache-scorer",
    ]);
  });

  test("plugins that are named by their type and not declared are added", () => {
    const { config, warnings } = load({
      plugins: [
        { type: "disagg-profile-handler", parameters: { deciders: { prefill: "always-disagg-pd-decider" } } },
        { type: "decode-filter" },
      ],
      schedulingProfiles: [
        { name: "decode", plugins: [{ pluginRef: "decode-filter" }, { pluginRef: "queue-scorer" }] },
      ],
    });
    expect(config?.plugins.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["always-disagg-pd-decider", "queue-scorer"]),
    );
    expect(warnings.filter((text) => text.includes("is not declared"))).toHaveLength(2);
  });
});

test("two pickers, two handlers, a profile too many", () => {
  const { errors } = load({
    plugins: [
      { type: "single-profile-handler" },
      { type: "header-profile-handler" },
      { type: "max-score-picker" },
      { type: "random-picker" },
    ],
    schedulingProfiles: [
      { name: "a", plugins: [{ pluginRef: "max-score-picker" }, { pluginRef: "random-picker" }] },
      { name: "b" },
    ],
  });
  expect(errors.map(({ cause }) => cause)).toEqual([
    "has more than one picker",
    "more than one profile handler",
    "single-profile-handler takes one profile",
  ]);
});

test("experimental plugins are warned about unless they are welcome", () => {
  const sections = { plugins: [{ type: "session-affinity-scorer" }] };
  expect(load(sections).warnings).toEqual(["plugin session-affinity-scorer is experimental and may change"]);
  expect(load(sections, { allowExperimental: true }).warnings).toEqual([]);
});
