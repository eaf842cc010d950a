import { PREFIX_MATCH } from "../../framework/data.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { prefixScorer, prefixScorerParameters } from "./prefix-score.ts";

/** `prefix-cache-scorer` for endpoints that are clusters. */
export const multiclusterPrefixCacheScorer = definePlugin({
  type: "multicluster-prefix-cache-scorer",
  kinds: ["scorer"],
  stability: "alpha",
  description: "Like prefix-cache-scorer, for endpoints that are clusters.",
  parameters: prefixScorerParameters,
  consumes: (given) => [{ key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName }],
  create: (given, context) => prefixScorer(context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName), given),
});
