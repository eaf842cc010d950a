import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const ATTRIBUTE = "llm-d.ai/multicluster-queue-size";

/** Prefers clusters with short queues. */
export const multiclusterQueueScorer = definePlugin({
  type: "multicluster-queue-scorer",
  kinds: ["scorer"],
  stability: "alpha",
  description: `Like queue-scorer, over the attribute ${ATTRIBUTE}; 0 without it.`,
  parameters: noParameters(),
  create: () => ({
    score: ({ endpoints }, slots, count, scores) => {
      let min = Infinity;
      let max = -Infinity;
      for (let i = 0; i < count; i++) {
        const value = endpoints.attribute(ATTRIBUTE, slots[i] ?? 0);
        if (value < min) min = value;
        if (value > max) max = value;
      }
      for (let i = 0; i < count; i++) {
        const value = endpoints.attribute(ATTRIBUTE, slots[i] ?? 0);
        if (!Number.isNaN(value)) scores[i] = max === min ? 1 : (max - value) / (max - min);
      }
    },
  }),
});
