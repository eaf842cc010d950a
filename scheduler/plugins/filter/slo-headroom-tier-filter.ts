import type { Cycle } from "../../framework/cycle.ts";
import { LATENCY_PREDICTION, producerName } from "../../framework/data.ts";
import { number, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { keep } from "./keeping.ts";

/** Keeps endpoints that are predicted to meet the request's latency objectives. */
export const sloHeadroomTierFilter = definePlugin({
  type: "slo-headroom-tier-filter",
  kinds: ["filter"],
  stability: "beta",
  description: "Keeps endpoints that are predicted to meet the latency objectives; now and then the others.",
  parameters: object({
    epsilonExploreNeg: number({ doc: "How often the others are kept.", default: 0.01, min: 0, max: 1 }),
    latencyPredictionInfoProducerName: producerName(LATENCY_PREDICTION),
  }),
  consumes: (given) => [{ key: LATENCY_PREDICTION, producer: given.latencyPredictionInfoProducerName }],
  create: ({ epsilonExploreNeg, latencyPredictionInfoProducerName }, context) => {
    const latency = context.data(LATENCY_PREDICTION, latencyPredictionInfoProducerName);
    const meets = (cycle: Cycle, slot: number): boolean => {
      const { ttftHeadroomMs, tpotHeadroomMs } = latency.of(cycle);
      return (ttftHeadroomMs[slot] ?? NaN) >= 0 && (tpotHeadroomMs[slot] ?? NaN) >= 0;
    };
    return {
      filter: (cycle, slots, count) => {
        if (count <= 1 || !latency.of(cycle).known) return count;
        const positive = slots.subarray(0, count).reduce((sum, slot) => sum + (meets(cycle, slot) ? 1 : 0), 0);
        if (positive === 0 || positive === count) return count;
        const wanted = cycle.random.next() >= epsilonExploreNeg;
        return keep(slots, count, (slot) => meets(cycle, slot) === wanted);
      },
      dropReason: (cycle, slot) => (meets(cycle, slot) ? "others are explored" : "would miss its latency objective"),
    };
  },
});
