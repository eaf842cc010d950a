import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const ATTRIBUTE = "llm-d.ai/multicluster-kv-cache-utilization";

/** Prefers clusters with free KV caches. */
export const multiclusterKvCacheUtilizationScorer = definePlugin({
  type: "multicluster-kv-cache-utilization-scorer",
  kinds: ["scorer"],
  stability: "alpha",
  description: `1 − the attribute ${ATTRIBUTE}; 0 without it.`,
  parameters: noParameters(),
  create: () => ({
    score: ({ endpoints }, slots, count, scores) => {
      for (let i = 0; i < count; i++) {
        const value = endpoints.attribute(ATTRIBUTE, slots[i] ?? 0);
        scores[i] = Number.isNaN(value) ? 0 : 1 - value;
      }
    },
  }),
});
