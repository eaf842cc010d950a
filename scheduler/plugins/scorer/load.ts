/** Scorers of load: formulas of the llm-d endpoint picker. */
import { IN_FLIGHT_LOAD, UNCACHED_TOKENS } from "../../framework/data.ts";
import type { EndpointColumns } from "../../framework/endpoint.ts";
import { noParameters, number, object, text } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";

const DEFAULT_LOAD_PRODUCER = "inflight-load-producer";

/** (max − value) / (max − min) over the survivors; all alike score 1. */
function spread(column: Float64Array, slots: Int32Array, count: number, scores: Float64Array): void {
  let min = Infinity;
  let max = -Infinity;
  for (let i = 0; i < count; i++) {
    const value = column[slots[i] ?? 0] ?? 0;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  for (let i = 0; i < count; i++) scores[i] = max === min ? 1 : (max - (column[slots[i] ?? 0] ?? 0)) / (max - min);
}

function spreadScorer(
  type: string,
  description: string,
  column: (endpoints: EndpointColumns) => Float64Array,
): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["scorer"],
    stability: "beta",
    description,
    parameters: noParameters(),
    create: () => ({ score: (cycle, slots, count, scores) => spread(column(cycle.endpoints), slots, count, scores) }),
  });
}

/** Prefers short queues. */
export const queueScorer = spreadScorer("queue-scorer", "Prefers short queues.", ({ waiting }) => waiting);

/** Prefers few running requests. */
export const runningRequestsSizeScorer = spreadScorer(
  "running-requests-size-scorer",
  "Prefers few running requests.",
  ({ running }) => running,
);

/** Prefers a free KV cache: 1 − usage. */
export const kvCacheUtilizationScorer = definePlugin({
  type: "kv-cache-utilization-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers a free KV cache.",
  parameters: noParameters(),
  create: () => ({
    score: ({ endpoints }, slots, count, scores) => {
      for (let i = 0; i < count; i++) scores[i] = 1 - (endpoints.kvUsage[slots[i] ?? 0] ?? 0);
    },
  }),
});

const DEFAULT_THRESHOLD = 128;

/** Half a point for an empty queue, falling to none at the threshold. */
export const loadAwareScorer = definePlugin({
  type: "load-aware-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Falls from 0.5 for an empty queue to 0 at the threshold.",
  parameters: object({ threshold: number({ doc: "Waiting requests that score 0.", default: DEFAULT_THRESHOLD }) }),
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

const loadProducer = text({ doc: "Producer of the in-flight load.", default: DEFAULT_LOAD_PRODUCER });

/** Prefers endpoints with few requests of this process under way. */
export const activeRequestScorer = definePlugin({
  type: "active-request-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers endpoints with few requests under way.",
  parameters: object({
    requestTimeout: text({ doc: "Deprecated, ignored.", default: "" }),
    idleThreshold: number({ doc: "Requests up to which an endpoint counts as idle.", default: 0 }),
    maxBusyScore: number({ doc: "Best score of an endpoint that is not idle.", default: 1 }),
    inFlightLoadProducerName: loadProducer,
  }),
  consumes: (given) => [{ key: IN_FLIGHT_LOAD, producer: given.inFlightLoadProducerName }],
  create: (given, context) => {
    const load = context.data(IN_FLIGHT_LOAD, given.inFlightLoadProducerName);
    const busy = given.maxBusyScore >= 0 && given.maxBusyScore <= 1 ? given.maxBusyScore : 1;
    const idle = Math.max(0, given.idleThreshold);
    return {
      score: (cycle, slots, count, scores) => {
        const { requests } = load.of(cycle);
        let max = 0;
        for (let i = 0; i < count; i++) max = Math.max(max, requests[slots[i] ?? 0] ?? 0);
        for (let i = 0; i < count; i++) {
          const own = requests[slots[i] ?? 0] ?? 0;
          scores[i] = own <= idle ? 1 : ((max - own) / max) * busy;
        }
      },
    };
  },
});

const DEFAULT_QUEUE_TOKENS = 4_194_304;

/** Prefers endpoints with few tokens under way. */
export const tokenLoadScorer = definePlugin({
  type: "token-load-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers endpoints with few tokens under way.",
  parameters: object({
    queueThresholdTokens: number({ doc: "Tokens that score 0.", default: DEFAULT_QUEUE_TOKENS }),
    inFlightLoadProducerName: loadProducer,
  }),
  consumes: ({ inFlightLoadProducerName: producer }) => [
    { key: IN_FLIGHT_LOAD, producer },
    { key: UNCACHED_TOKENS, producer },
  ],
  create: (given, context) => {
    const load = context.data(IN_FLIGHT_LOAD, given.inFlightLoadProducerName);
    const uncached = context.data(UNCACHED_TOKENS, given.inFlightLoadProducerName);
    const limit = given.queueThresholdTokens > 0 ? given.queueThresholdTokens : DEFAULT_QUEUE_TOKENS;
    return {
      score: (cycle, slots, count, scores) => {
        for (let i = 0; i < count; i++) {
          const slot = slots[i] ?? 0;
          const tokens = (load.of(cycle).tokens[slot] ?? 0) + (uncached.of(cycle).tokens[slot] ?? 0);
          scores[i] = 1 - Math.min(Math.max(0, tokens), limit) / limit;
        }
      },
    };
  },
});
