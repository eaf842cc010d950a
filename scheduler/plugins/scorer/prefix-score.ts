/** Score of a prefix match, and the parameters that shape it. */
import { type DataHandle, type PrefixMatch, PREFIX_MATCH, producerName } from "../../framework/data.ts";
import { number, object, retired } from "../../framework/parameters.ts";
import type { Scorer } from "../../framework/plugin.ts";

const precise = "declare precise-prefix-cache-producer and name it in prefixMatchInfoProducerName";

/** Parameters of the scorers of prefix matches. */
export const prefixScorerParameters = object(
  {
    prefixMatchInfoProducerName: producerName(PREFIX_MATCH),
    matchLengthWeight: number({ doc: "Share of the score that absolute length makes.", default: 0, min: 0, max: 1 }),
    matchLengthScaleTokens: number({ doc: "Length that counts as full.", default: 8192 }),
    mode: retired(precise),
    indexerConfig: retired(precise),
    kvEventsConfig: retired(precise),
  },
  {
    check: ({ matchLengthWeight, matchLengthScaleTokens: value }, path, report) => {
      if (matchLengthWeight === 0 || value > 0) return;
      const remedy = "give a number > 0";
      report.error({ path: `${path}.matchLengthScaleTokens`, value, cause: "must be > 0", remedy });
    },
  },
);

/** w · min(1, matched tokens / scale)² + (1 − w) · matched share. */
export function prefixScorer(
  handle: DataHandle<PrefixMatch>,
  { matchLengthWeight: weight, matchLengthScaleTokens: scale }: typeof prefixScorerParameters.fallback,
): Scorer {
  return {
    score: (cycle, slots, count, scores) => {
      const { match, totalBlocks, blockSizeTokens } = handle.of(cycle);
      if (totalBlocks === 0) return;
      for (let i = 0; i < count; i++) {
        const matched = match[slots[i] ?? 0] ?? 0;
        const length = weight === 0 ? 0 : Math.min(1, (matched * blockSizeTokens) / scale) ** 2;
        scores[i] = weight * length + ((1 - weight) * matched) / totalBlocks;
      }
    },
  };
}
