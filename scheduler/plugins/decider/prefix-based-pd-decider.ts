import { PREFIX_MATCH, producerName, TOKENIZED_PROMPT } from "../../framework/data.ts";
import { integer, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Prefill apart for prompts of which much is not cached on the decode pod. */
export const prefixBasedPdDecider = definePlugin({
  type: "prefix-based-pd-decider",
  kinds: ["decider"],
  stability: "beta",
  description: "Prefills a request on another pod when much of its prompt is not cached on the decode pod.",
  parameters: object({
    nonCachedTokens: integer({ doc: "Uncached tokens from which prefill is apart; 0: never.", default: 0, min: 0 }),
    promptTokens: integer({ doc: "Shortest prompt that prefills apart; 0: any.", default: 0, min: 0 }),
    prefixMatchInfoProducerName: producerName(PREFIX_MATCH),
  }),
  consumes: ({ prefixMatchInfoProducerName: producer }) => [
    { key: PREFIX_MATCH, producer },
    { key: TOKENIZED_PROMPT, producer: "token-producer" },
  ],
  create: ({ nonCachedTokens, promptTokens, prefixMatchInfoProducerName }, context) => {
    const match = context.data(PREFIX_MATCH, prefixMatchInfoProducerName);
    const tokens = context.data(TOKENIZED_PROMPT, "token-producer");
    return {
      decide: (cycle, slot) => {
        const { tokenCount } = tokens.of(cycle);
        if (nonCachedTokens === 0 || slot < 0 || tokenCount < Math.max(promptTokens, nonCachedTokens)) return false;
        const { cachedBlocks, blockSizeTokens, totalBlocks } = match.of(cycle);
        // A prompt shorter than a block has nothing to match: all of it is uncached.
        const cached = totalBlocks === 0 ? 0 : (cachedBlocks[slot] ?? 0) * blockSizeTokens;
        return tokenCount - cached >= nonCachedTokens;
      },
    };
  },
});
