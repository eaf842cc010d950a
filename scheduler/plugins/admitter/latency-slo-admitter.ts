import { LATENCY_PREDICTION, producerName } from "../../framework/data.ts";
import { object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { sloOf } from "../latency-objectives.ts";

const COLD_KV_USAGE = 0.02;

/** Refuses sheddable requests whose latency objectives no endpoint is predicted to meet. */
export const latencySloAdmitter = definePlugin({
  type: "latency-slo-admitter",
  kinds: ["admitter"],
  stability: "beta",
  description: "Refuses requests of negative priority whose latency objectives no endpoint would meet.",
  parameters: object({ latencyPredictionInfoProducerName: producerName(LATENCY_PREDICTION) }),
  consumes: (given) => [{ key: LATENCY_PREDICTION, producer: given.latencyPredictionInfoProducerName }],
  create: ({ latencyPredictionInfoProducerName }, context) => {
    const latency = context.data(LATENCY_PREDICTION, latencyPredictionInfoProducerName);
    return {
      admit: (cycle) => {
        const { request, endpoints, candidates, candidateCount } = cycle;
        if (request.priority >= 0) return undefined;
        if (sloOf(request.headers, "ttft") === 0 && sloOf(request.headers, "tpot") === 0) return undefined;
        const { known, ttftHeadroomMs, tpotHeadroomMs } = latency.of(cycle);
        if (!known) return undefined;
        for (let i = 0; i < candidateCount; i++) {
          const slot = candidates[i] ?? 0;
          const valid = (ttftHeadroomMs[slot] ?? NaN) > 0 && (tpotHeadroomMs[slot] ?? NaN) >= 0;
          const idle = (endpoints.running[slot] ?? 0) === 0;
          if (valid || idle || (endpoints.kvUsage[slot] ?? 0) < COLD_KV_USAGE) return undefined;
        }
        return {
          code: "ResourceExhausted",
          message: "no valid endpoint available to serve the request",
          droppedReason: "rejected-saturated",
        };
      },
    };
  },
});
