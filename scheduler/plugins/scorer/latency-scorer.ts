import type { Cycle } from "../../framework/cycle.ts";
import { LATENCY_PREDICTION, PREFIX_MATCH, producerName } from "../../framework/data.ts";
import { number, object, retired, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { scoreHeadrooms } from "./latency-score.ts";

const parameters = object({
  ttftWeight: number({ doc: "Weight of the time to the first token.", default: 0.8 }),
  tpotWeight: number({ doc: "Weight of the time per token.", default: 0.2 }),
  headroomSelectionStrategy: text({ doc: "`most` prefers much headroom, all else little.", default: "least" }),
  compositeKVWeight: number({ doc: "Weight of the free KV cache without predictions.", default: 1 }),
  compositeQueueWeight: number({ doc: "Weight of the queue without predictions.", default: 1 }),
  compositePrefixWeight: number({ doc: "Weight of the prefix match without predictions.", default: 1 }),
  latencyPredictionInfoProducerName: producerName(LATENCY_PREDICTION),
  prefixMatchInfoProducerName: producerName(PREFIX_MATCH),
  samplingMean: retired("predictions are not sampled"),
});
type Parameters = typeof parameters.fallback;

/** Weights of KV cache, queue and prefix that sum to 1. */
function compositeShares(given: Parameters): readonly [number, number, number] {
  const { compositeKVWeight: kv, compositeQueueWeight: queue, compositePrefixWeight: prefix } = given;
  const sum = kv + queue + prefix;
  return sum > 0 ? [kv / sum, queue / sum, prefix / sum] : [1, 0, 0];
}

/** Prefers endpoints by predicted latency against the request's objectives; by load where nothing is predicted. */
export const latencyScorer = definePlugin({
  type: "latency-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Rates endpoints by predicted latency against the request's objectives; by load without predictions.",
  parameters,
  consumes: (given) => [
    { key: LATENCY_PREDICTION, producer: given.latencyPredictionInfoProducerName },
    { key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName },
  ],
  create: (given, context) => {
    const latency = context.data(LATENCY_PREDICTION, given.latencyPredictionInfoProducerName);
    const prefix = context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName);
    const [kvShare, queueShare, prefixShare] = compositeShares(given);
    const strategy = { ...given, most: given.headroomSelectionStrategy === "most" };
    const composite = (cycle: Cycle, slots: Int32Array, count: number, scores: Float64Array): void => {
      const { waiting, kvUsage } = cycle.endpoints;
      const { match, totalBlocks } = prefix.of(cycle);
      let longest = 0;
      for (let i = 0; i < count; i++) longest = Math.max(longest, waiting[slots[i] ?? 0] ?? 0);
      for (let i = 0; i < count; i++) {
        const slot = slots[i] ?? 0;
        const queue = longest === 0 ? 1 : (longest - (waiting[slot] ?? 0)) / longest;
        const hit = totalBlocks === 0 ? 0 : (match[slot] ?? 0) / totalBlocks;
        const sum = kvShare * (1 - (kvUsage[slot] ?? 0)) + queueShare * queue + prefixShare * hit;
        scores[i] = Math.round(100 * sum) / 100;
      }
    };
    return {
      score: (cycle, slots, count, scores) => {
        const { known, ttftHeadroomMs: ttft, tpotHeadroomMs: tpot, dispatched } = latency.of(cycle);
        if (known) scoreHeadrooms(slots, count, { ttft, tpot, dispatched }, strategy, scores);
        else composite(cycle, slots, count, scores);
      },
    };
  },
});
