import { object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { metricText } from "./metric-text.ts";

/** Load of other clusters. */
export const multiclusterMetricsExtractor = definePlugin({
  type: "multicluster-metrics-extractor",
  kinds: ["extractor"],
  stability: "alpha",
  description: "Takes queue and KV cache of a cluster out of its scheduler's metrics.",
  handledBy: "the metrics scraper",
  parameters: object({
    kvCacheUtilizationMetric: metricText("KV cache usage", "llm_d_epp_average_kv_cache_utilization"),
    queueSizeMetric: metricText("Waiting requests", "llm_d_epp_average_queue_size"),
  }),
});
