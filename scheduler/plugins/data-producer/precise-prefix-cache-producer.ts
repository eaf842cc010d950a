import { grown, PREFIX_MATCH, TOKENIZED_PROMPT } from "../../framework/data.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { NO_EVENTS, preciseParameters } from "./precise-parameters.ts";

/** Prefix matches from the engines' cache events. */
export const precisePrefixCacheProducer = definePlugin({
  type: "precise-prefix-cache-producer",
  kinds: ["data-producer", "pre-request", "extractor"],
  stability: "beta",
  description: "Tells from the engines' events which prefixes of prompts each endpoint has cached.",
  limits: NO_EVENTS,
  parameters: preciseParameters,
  consumes: () => [{ key: TOKENIZED_PROMPT, producer: "token-producer" }],
  produces: [PREFIX_MATCH],
  create: ({ tokenProcessorConfig }, context) => {
    const handle = context.data(PREFIX_MATCH, context.name);
    const tokens = context.data(TOKENIZED_PROMPT, "token-producer");
    const blockSizeTokens = tokenProcessorConfig?.blockSize ?? tokenProcessorConfig?.blockSizeTokens ?? 16;
    return {
      produce: (cycle) => {
        const record = handle.of(cycle);
        record.match = grown(record.match, cycle.endpoints.capacity);
        record.cachedBlocks = record.match;
        record.blockSizeTokens = blockSizeTokens;
        record.totalBlocks = tokens
          .of(cycle)
          .prompts.reduce((sum, prompt) => sum + Math.floor(prompt.length / 4 / blockSizeTokens), 0);
      },
    };
  },
});
