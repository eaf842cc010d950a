import { type Field, list, object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { metricText } from "./metric-text.ts";

const RESERVED = "default";

/** Name of an engine. */
function engineName(): Field<string> {
  const inner = required(text({ doc: "Engine.", default: "", nonEmpty: true }));
  return {
    ...inner,
    read: (value, path, report) => {
      if (value === RESERVED) {
        const remedy = "name the engine, and give that name in defaultEngine";
        report.error({ path, value, cause: "is a reserved name", remedy });
      }
      return inner.read(value, path, report);
    },
  };
}

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
        name: engineName(),
        queuedRequestsSpec: metricText("Waiting requests"),
        runningRequestsSpec: metricText("Running requests"),
        kvUsageSpec: metricText("KV cache usage, 0–1"),
        loraSpec: metricText("LoRA state"),
        cacheInfoSpec: metricText("Cache configuration"),
        cacheBlockSizeLabelName: text({ doc: "Its label of the block size.", default: "" }),
        cacheNumBlocksLabelName: text({ doc: "Its label of the number of blocks.", default: "" }),
        cacheBlockSizeSpec: metricText("Block size"),
        cacheNumBlocksSpec: metricText("Number of blocks"),
        customMetrics: list(
          object({
            attributeKey: required(text({ doc: "Name of the attribute.", default: "", nonEmpty: true })),
            metricSpec: required(metricText("Its metric")),
          }),
          { doc: "Attributes besides." },
        ),
      }),
      { doc: "Engines besides the known ones, or instead of them." },
    ),
  }),
});
