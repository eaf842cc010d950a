import { list, object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const spec = (doc: string) => text({ doc: `${doc}: name{label=value,…}.`, default: "" });

/** Which metrics of which engine mean what. */
export const coreMetricsExtractor = definePlugin({
  type: "core-metrics-extractor",
  kinds: ["extractor"],
  stability: "beta",
  description: "Takes queue, running requests, KV cache and adapters out of the engines' metrics.",
  handledBy: "the metrics scraper",
  parameters: object({
    engineLabelKey: text({ doc: "Pod label that names the engine.", default: "llm-d.ai/engine-type" }),
    defaultEngine: text({ doc: "Engine of pods without that label.", default: "vllm" }),
    engineConfigs: list(
      object({
        name: required(text({ doc: "Engine.", default: "", nonEmpty: true })),
        queuedRequestsSpec: spec("Waiting requests"),
        runningRequestsSpec: spec("Running requests"),
        kvUsageSpec: spec("KV cache usage, 0–1"),
        loraSpec: spec("LoRA state"),
        cacheInfoSpec: spec("Cache configuration"),
        cacheBlockSizeLabelName: text({ doc: "Its label of the block size.", default: "" }),
        cacheNumBlocksLabelName: text({ doc: "Its label of the number of blocks.", default: "" }),
        cacheBlockSizeSpec: spec("Block size"),
        cacheNumBlocksSpec: spec("Number of blocks"),
        customMetrics: list(
          object({
            attributeKey: required(text({ doc: "Name of the attribute.", default: "", nonEmpty: true })),
            metricSpec: required(spec("Its metric")),
          }),
          { doc: "Attributes besides." },
        ),
      }),
      { doc: "Engines besides the known ones, or instead of them." },
    ),
  }),
});
