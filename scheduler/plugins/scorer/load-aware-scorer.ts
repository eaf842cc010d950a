import { CORE_METRICS } from "../../framework/data.ts";
import { number, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const DEFAULT_THRESHOLD = 128;

/** Half a point for an empty queue, falling to none at the threshold. */
export const loadAwareScorer = definePlugin({
  type: "load-aware-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Falls from 0.5 for an empty queue to 0 at the threshold.",
  parameters: object({
    threshold: number({ doc: "Waiting requests that score 0; ≤ 0: the default.", default: DEFAULT_THRESHOLD }),
  }),
  consumes: () => [CORE_METRICS.waiting],
  create: ({ threshold }) => {
    const limit = threshold > 0 ? threshold : DEFAULT_THRESHOLD;
    return {
      score: ({ endpoints }, slots, count, scores) => {
        for (let i = 0; i < count; i++)
          scores[i] = 0.5 * (1 - Math.min(endpoints.waiting[slots[i] ?? 0] ?? 0, limit) / limit);
      },
    };
  },
});
