import { CORE_METRICS } from "../../framework/data.ts";
import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Prefers a free KV cache. */
export const kvCacheUtilizationScorer = definePlugin({
  type: "kv-cache-utilization-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers a free KV cache: 1 − usage.",
  parameters: noParameters(),
  consumes: () => [CORE_METRICS.kvUsage],
  create: () => ({
    score: ({ endpoints }, slots, count, scores) => {
      for (let i = 0; i < count; i++) scores[i] = 1 - (endpoints.kvUsage[slots[i] ?? 0] ?? 0);
    },
  }),
});
