import { describe, expect, test } from "@jest/globals";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { dumpYaml, parseYaml } from "../../kube/yaml.ts";
import { listAt, textAt } from "../../crds/json.ts";
import { named, stringsOf } from "../json-edit.ts";
import { defaultForRelease } from "./default-config.ts";
import { parseRelease } from "./release.ts";
import { upgradedScheduler } from "./upgrade.ts";

const URL = "http://x-tokenizer.ns.svc.cluster.local:8000";

interface Options {
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly more?: readonly JsonObject[];
  readonly tokenizer?: boolean;
}

function podOf(config: JsonObject, { args = [], command = [], more = [] }: Options): JsonObject {
  const line = [...args, "--config-text", dumpYaml(config)];
  return { containers: [{ name: "main", command: [...command], args: line }, ...more] };
}

function upgraded(
  version: string,
  config: JsonObject,
  options: Options = {},
): { pod: JsonObject; config: Json; args: string[] } {
  const target = {
    release: parseRelease(version, "R"),
    tokenizerUrl: options.tokenizer === true ? URL : undefined,
  };
  const pod = upgradedScheduler(podOf(config, options), target);
  const args = [...stringsOf(named(pod["containers"], "main")?.["args"])];
  const again = upgradedScheduler(pod, target);
  expect(again).toEqual(pod);
  return { pod, config: parseYaml(args.at(-1) ?? ""), args: args.slice(0, -2) };
}

const plugin = (type: string, parameters?: JsonObject): JsonObject =>
  parameters === undefined ? { type } : { type, parameters };
const profile = (...refs: readonly (string | readonly [string, number])[]): JsonObject[] => [
  {
    name: "default",
    plugins: refs.map((ref) => (typeof ref === "string" ? { pluginRef: ref } : { pluginRef: ref[0], weight: ref[1] })),
  },
];
const VLLM = { engineLabelKey: "inference.networking.k8s.io/engine-type", defaultEngine: "vllm" };

const CASES: readonly (readonly [string, string, JsonObject, JsonObject, Options?])[] = [
  [
    "below 0.7.0 nothing changes",
    "0.6.0",
    { plugins: [plugin("pd-profile-handler", { threshold: 8, hashBlockSize: 5 }), plugin("prefill-header-handler")] },
    { plugins: [plugin("pd-profile-handler", { threshold: 8, hashBlockSize: 5 }), plugin("prefill-header-handler")] },
  ],
  [
    "headers handler",
    "0.7.0",
    { plugins: [{ type: "prefill-header-handler", name: "h" }], schedulingProfiles: profile("h") },
    { plugins: [{ type: "disagg-headers-handler", name: "h" }], schedulingProfiles: profile("h") },
  ],
  [
    "a decider by name",
    "0.7.0",
    { plugins: [plugin("pd-profile-handler", { deciderPluginName: "d", threshold: 3, other: 1 })] },
    { plugins: [plugin("disagg-profile-handler", { other: 1, deciders: { prefill: "d" } })] },
  ],
  [
    "a threshold of zero decides always",
    "0.7.0",
    { plugins: [plugin("pd-profile-handler", { threshold: 0 })] },
    {
      plugins: [
        plugin("always-disagg-pd-decider"),
        plugin("disagg-profile-handler", { deciders: { prefill: "always-disagg-pd-decider" } }),
      ],
    },
  ],
  [
    "a threshold in characters becomes one in tokens, at least one",
    "0.7.0",
    { plugins: [plugin("pd-profile-handler", { threshold: 2 })] },
    {
      plugins: [
        plugin("prefix-based-pd-decider", { nonCachedTokens: 1 }),
        plugin("disagg-profile-handler", { deciders: { prefill: "prefix-based-pd-decider" } }),
      ],
    },
  ],
  [
    "a decider that is declared stays the only one",
    "0.7.0",
    {
      plugins: [
        plugin("prefix-based-pd-decider", { nonCachedTokens: 9 }),
        plugin("pd-profile-handler", { threshold: 100 }),
      ],
    },
    {
      plugins: [
        plugin("prefix-based-pd-decider", { nonCachedTokens: 9 }),
        plugin("disagg-profile-handler", { deciders: { prefill: "prefix-based-pd-decider" } }),
      ],
    },
  ],
  [
    "a handler without any of these keeps its parameters",
    "0.7.0",
    { plugins: [plugin("pd-profile-handler", { other: 1 })] },
    { plugins: [plugin("disagg-profile-handler", { other: 1 })] },
  ],
  [
    "block sizes of hashes go",
    "0.7.0",
    { plugins: [plugin("a", { hashBlockSize: 5, b: 1 }), plugin("c", { hashBlockSize: 5 })] },
    { plugins: [plugin("a", { b: 1 }), plugin("c")] },
  ],
  [
    "metrics extractor",
    "0.8.0",
    { plugins: [plugin("model-server-protocol-metrics", { a: 1 })] },
    { plugins: [plugin("core-metrics-extractor", { a: 1 })] },
  ],
  [
    "prefix scorer and apiVersion",
    "0.9.0",
    {
      apiVersion: "inference.networking.x-k8s.io/v1alpha1",
      plugins: [
        plugin("prefix-cache-scorer", { prefixMatchInfoProducerName: "p", blockSize: 5 }),
        plugin("prefix-cache-scorer", { mode: "estimate" }),
      ],
    },
    {
      apiVersion: "llm-d.ai/v1alpha1",
      plugins: [plugin("prefix-cache-scorer", { prefixMatchInfoProducerName: "p" }), plugin("prefix-cache-scorer")],
    },
  ],
  [
    "the precise scorer in its parts",
    "0.9.0",
    {
      plugins: [
        plugin("precise-prefix-cache-scorer", {
          indexerConfig: { tokenizersPoolConfig: { a: 1 }, tokenProcessorConfig: { blockSize: 64 }, kept: true },
        }),
        plugin("prefix-cache-scorer"),
        plugin("queue-scorer"),
      ],
      schedulingProfiles: profile(["precise-prefix-cache-scorer", 3], ["queue-scorer", 1], ["prefix-cache-scorer", 2]),
    },
    {
      plugins: [
        plugin("token-producer", { modelName: "/mnt/models/base", vllm: { url: URL } }),
        plugin("precise-prefix-cache-producer", {
          indexerConfig: { kept: true },
          tokenProcessorConfig: { blockSize: 64 },
        }),
        plugin("prefix-cache-scorer", { prefixMatchInfoProducerName: "precise-prefix-cache-producer" }),
        plugin("queue-scorer"),
      ],
      schedulingProfiles: profile(["prefix-cache-scorer", 3], ["queue-scorer", 1]),
    },
    { tokenizer: true },
  ],
  [
    "without a tokenizer the precise scorer stays",
    "0.9.0",
    { plugins: [plugin("precise-prefix-cache-scorer")] },
    { plugins: [plugin("precise-prefix-cache-scorer")] },
  ],
  [
    "a token producer is told what it does not know",
    "0.9.0",
    {
      plugins: [
        plugin("token-producer", { modelName: "mine" }),
        plugin("token-producer", { vllm: { url: "http://u" } }),
      ],
    },
    {
      plugins: [
        plugin("token-producer", { modelName: "mine", vllm: { url: URL } }),
        plugin("token-producer", { modelName: "/mnt/models/base", vllm: { url: "http://u" } }),
      ],
    },
    { tokenizer: true },
  ],
];

describe("scheduler configuration in the spelling of its release", () => {
  test.each(CASES)("%s", (_what, version, before, after, options = {}) => {
    expect(upgraded(version, before, options).config).toEqual(after);
  });

  test("flags that named the engine's metrics become a plugin", () => {
    const args = ["--total-queued-requests-metric", "q", "--lora-info-metric=l", "--grpc-port", "9002"];
    const result = upgraded("0.7.0", { plugins: [] }, { args });
    expect(result.args).toEqual(["--grpc-port", "9002"]);
    const type = "model-server-protocol-metrics";
    const engineConfigs = [{ name: "vllm", queuedRequestsSpec: "q", loraSpec: "l" }];
    expect(listAt(result.config, "plugins")).toEqual([{ name: type, type, parameters: { ...VLLM, engineConfigs } }]);
  });

  test("where the plugin is declared, the flags only go", () => {
    const result = upgraded(
      "0.8.0",
      { plugins: [plugin("core-metrics-extractor")] },
      { args: ["--lora-info-metric=l"] },
    );
    expect(result.args).toEqual([]);
    expect(listAt(result.config, "plugins")).toEqual([plugin("core-metrics-extractor")]);
  });

  test("flags that said where metrics are become a source, from command and arguments", () => {
    const options = {
      command: ["/app/epp", "--model-server-metrics-scheme=https", ""],
      args: [
        "--model-server-metrics-port",
        "8000",
        "--model-server-metrics-https-insecure-skip-verify",
        "--model-server-metrics-path=/m",
      ],
    };
    const result = upgraded("0.10.0", { plugins: [] }, options);
    expect(result.args).toEqual([]);
    expect(named(result.pod["containers"], "main")?.["command"]).toEqual(["/app/epp", ""]);
    const parameters = { scheme: "https", path: "/m", insecureSkipVerify: true };
    expect(listAt(result.config, "plugins")).toEqual([plugin("metrics-data-source", parameters)]);
    expect(upgraded("0.9.0", { plugins: [] }, options).args).toHaveLength(4);
  });

  test("a tokenizer in the scheduler's own pod", () => {
    const more = [{ name: "tokenizer" }];
    const precise = {
      plugins: [plugin("precise-prefix-cache-scorer", { indexerConfig: { tokenProcessorConfig: { b: 1 } } })],
    };
    const uds = { socketFile: "/tmp/tokenizer/tokenizer-uds.socket" };
    expect(upgraded("0.7.1", precise, { more }).config).toEqual({
      plugins: [
        plugin("precise-prefix-cache-scorer", {
          indexerConfig: { tokenProcessorConfig: { b: 1 }, tokenizersPoolConfig: { modelName: "base", uds } },
          tokenProcessorConfig: { b: 1 },
        }),
      ],
    });
    const unneeded = upgraded("0.9.0", { plugins: [plugin("queue-scorer")] }, { more });
    expect(named(unneeded.pod["containers"], "tokenizer")).toBeUndefined();
  });

  test("a configuration in a file, and a text that is none, are left alone", () => {
    const file = { containers: [{ name: "main", args: ["--config-file", "/etc/c", "--lora-info-metric=l"] }] };
    const broken = { containers: [{ name: "main", args: ["--lora-info-metric=l", "--configText", "a: [}"] }] };
    for (const pod of [file, broken])
      expect(upgradedScheduler(pod, { release: [0, 10, 0], tokenizerUrl: URL })).toEqual(pod);
  });

  test("a text that needs nothing stays as it was written", () => {
    const text = "# mine\nplugins: [{type: queue-scorer}]\n";
    const pod = { containers: [{ name: "main", args: [`--config-text=${text}`] }] };
    expect(upgradedScheduler(pod, { release: [0, 10, 0], tokenizerUrl: undefined })).toEqual(pod);
  });

  test("a version that is none is refused", () => {
    expect(() => parseRelease("latest", "R")).toThrow(
      /annotations\[app.kubernetes.io\/version\]: "latest" is no version/,
    );
    expect(parseRelease("v0.9.1-rc.1", "R")).toEqual([0, 9, 1]);
  });

  test.each<[number, boolean, string]>([
    [4, false, "single-profile-handler queue-scorer prefix-cache-scorer max-score-picker"],
    [
      4,
      true,
      "prefill-header-handler prefill-filter decode-filter queue-scorer prefix-cache-scorer max-score-picker pd-profile-handler",
    ],
    [
      7,
      true,
      "disagg-headers-handler prefill-filter decode-filter queue-scorer prefix-cache-scorer max-score-picker always-disagg-pd-decider disagg-profile-handler",
    ],
    [
      10,
      false,
      "single-profile-handler queue-scorer kv-cache-utilization-scorer prefix-cache-scorer no-hit-lru-scorer max-score-picker",
    ],
  ])("the default of release 0.%s, disaggregated: %s", (minor, disaggregated, types) => {
    const config = defaultForRelease(minor, { disaggregated, lora: false });
    expect(
      listAt(config, "plugins")
        .map((entry) => textAt(entry, "type"))
        .join(" "),
    ).toBe(types);
    expect(config["apiVersion"]).toBe(minor < 9 ? "inference.networking.x-k8s.io/v1alpha1" : "llm-d.ai/v1alpha1");
  });
});
