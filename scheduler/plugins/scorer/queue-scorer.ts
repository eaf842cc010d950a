import { CORE_METRICS } from "../../framework/data.ts";
import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { spread } from "./spread.ts";

/** Prefers short queues. */
export const queueScorer = definePlugin({
  type: "queue-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers short queues: 1 for the shortest, 0 for the longest, 1 for all where they are alike.",
  parameters: noParameters(),
  consumes: () => [CORE_METRICS.waiting],
  create: () => ({ score: ({ endpoints }, slots, count, scores) => spread(endpoints.waiting, slots, count, scores) }),
});
