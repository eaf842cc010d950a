import { PREFIX_MATCH } from "../../framework/data.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { prefixScorer, prefixScorerParameters } from "./prefix-score.ts";

/** Prefers endpoints that hold much of the prompt's prefix. */
export const prefixCacheScorer = definePlugin({
  type: "prefix-cache-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers endpoints that have cached the prompt's prefix: the share of its blocks that match.",
  parameters: prefixScorerParameters,
  consumes: (given) => [{ key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName }],
  create: (given, context) => prefixScorer(context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName), given),
});
