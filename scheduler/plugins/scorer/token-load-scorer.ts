import { IN_FLIGHT_LOAD, producerName, UNCACHED_TOKENS } from "../../framework/data.ts";
import { number, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const DEFAULT_QUEUE_TOKENS = 4_194_304;

/** Prefers endpoints with few tokens under way. */
export const tokenLoadScorer = definePlugin({
  type: "token-load-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Falls from 1 for an endpoint without tokens under way to 0 at the threshold.",
  parameters: object({
    queueThresholdTokens: number({ doc: "Tokens that score 0; ≤ 0: the default.", default: DEFAULT_QUEUE_TOKENS }),
    inFlightLoadProducerName: producerName(IN_FLIGHT_LOAD),
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
        const { tokens } = load.of(cycle);
        const { tokens: own } = uncached.of(cycle);
        for (let i = 0; i < count; i++) {
          const slot = slots[i] ?? 0;
          const sum = Math.max(0, (tokens[slot] ?? 0) + (own[slot] ?? 0));
          scores[i] = 1 - Math.min(sum, limit) / limit;
        }
      },
    };
  },
});
