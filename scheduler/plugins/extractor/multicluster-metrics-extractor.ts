import { object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Load of other clusters. */
export const multiclusterMetricsExtractor = definePlugin({
  type: "multicluster-metrics-extractor",
  kinds: ["extractor"],
  stability: "alpha",
  description: "Takes queue and KV cache of a cluster out of its scheduler's metrics.",
  handledBy: "the metrics scraper",
  parameters: object({
    kvCacheUtilizationMetric: text({ doc: "KV cache usage.", default: "llm_d_epp_average_kv_cache_utilization" }),
    queueSizeMetric: text({ doc: "Waiting requests.", default: "llm_d_epp_average_queue_size" }),
  }),
});
