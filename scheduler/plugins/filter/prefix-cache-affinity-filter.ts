import type { Cycle } from "../../framework/cycle.ts";
import { type DataUse, IN_FLIGHT_LOAD, LATENCY_PREDICTION, PREFIX_MATCH, producerName } from "../../framework/data.ts";
import { choice, number, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { keep } from "./keeping.ts";

const parameters = object(
  {
    affinityThreshold: number({ doc: "Matched share from which an endpoint sticks; ≤ 0: off.", default: 0.8, max: 1 }),
    explorationProbability: number({ doc: "How often all are kept anyway.", default: 0, min: 0, max: 1 }),
    maxTTFTPenaltyMs: number({
      doc: "Extra time to the first token that sticking may cost; 0: any.",
      default: 18_000,
      min: 0,
    }),
    ttftSource: choice({
      doc: "Where that time comes from.",
      default: "prefillThroughput",
      of: ["prefillThroughput", "latencyPredictor"],
    }),
    peakPrefillThroughput: number({ doc: "Tokens that an endpoint prefills in a second.", default: 15_928, min: 0 }),
    prefixMatchInfoProducerName: producerName(PREFIX_MATCH),
    latencyPredictionInfoProducerName: producerName(LATENCY_PREDICTION),
    inFlightLoadProducerName: producerName(IN_FLIGHT_LOAD),
  },
  {
    check: ({ maxTTFTPenaltyMs, ttftSource, peakPrefillThroughput: value }, path, report) => {
      if (maxTTFTPenaltyMs === 0 || ttftSource === "latencyPredictor" || value > 0) return;
      const cause = "must be > 0 when it is the source of times";
      report.error({ path: `${path}.peakPrefillThroughput`, value, cause, remedy: "give tokens per second" });
    },
  },
);
type Parameters = typeof parameters.fallback;

const MS = 1000;

function consumes(given: Parameters): readonly DataUse[] {
  const match: DataUse = { key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName };
  if (given.affinityThreshold <= 0 || given.maxTTFTPenaltyMs === 0) return [match];
  return given.ttftSource === "latencyPredictor"
    ? [match, { key: LATENCY_PREDICTION, producer: given.latencyPredictionInfoProducerName }]
    : [match, { key: IN_FLIGHT_LOAD, producer: given.inFlightLoadProducerName }];
}

/** Keeps endpoints that hold most of the prompt, unless they are much slower to answer than others. */
export const prefixCacheAffinityFilter = definePlugin({
  type: "prefix-cache-affinity-filter",
  kinds: ["filter"],
  stability: "beta",
  description: "Keeps endpoints that hold most of the prompt, unless they are much slower than others.",
  parameters,
  consumes,
  create: (given, context) => {
    const prefix = context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName);
    const load = context.data(IN_FLIGHT_LOAD, given.inFlightLoadProducerName);
    const latency = context.data(LATENCY_PREDICTION, given.latencyPredictionInfoProducerName);
    const { affinityThreshold: threshold, maxTTFTPenaltyMs: penalty } = given;
    const isSticky = (cycle: Cycle, slot: number): boolean => {
      const { match, totalBlocks } = prefix.of(cycle);
      return totalBlocks > 0 && (match[slot] ?? 0) / totalBlocks >= threshold;
    };
    const ttft = (cycle: Cycle, slot: number): number => {
      if (given.ttftSource === "prefillThroughput")
        return ((load.of(cycle).tokens[slot] ?? 0) / given.peakPrefillThroughput) * MS;
      const { ttftMs, known } = latency.of(cycle);
      const predicted = known ? (ttftMs[slot] ?? NaN) : NaN;
      return Number.isNaN(predicted) ? Infinity : predicted;
    };
    return {
      filter: (cycle, slots, count) => {
        if (threshold <= 0 || count <= 1) return count;
        if (given.explorationProbability > 0 && cycle.random.next() < given.explorationProbability) return count;
        let stuck = 0;
        let best = Infinity;
        let bestOther = Infinity;
        for (let i = 0; i < count; i++) {
          const slot = slots[i] ?? 0;
          const time = penalty > 0 ? ttft(cycle, slot) : 0;
          if (!isSticky(cycle, slot)) bestOther = Math.min(bestOther, time);
          else [stuck, best] = [stuck + 1, Math.min(best, time)];
        }
        if (stuck === 0 || stuck === count) return count;
        if (penalty > 0 && best - bestOther > penalty) return count;
        return keep(slots, count, (slot) => isSticky(cycle, slot));
      },
      dropReason: () => `holds less than ${threshold} of the prompt`,
    };
  },
});
