import { CORE_METRICS } from "../../framework/data.ts";
import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { spread } from "./spread.ts";

/** Prefers engines that run few requests. */
export const runningRequestsSizeScorer = definePlugin({
  type: "running-requests-size-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers engines that run few requests: 1 for the fewest, 0 for the most.",
  parameters: noParameters(),
  consumes: () => [CORE_METRICS.running],
  create: () => ({ score: ({ endpoints }, slots, count, scores) => spread(endpoints.running, slots, count, scores) }),
});
