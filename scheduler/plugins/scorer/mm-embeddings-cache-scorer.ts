import { MULTIMODAL_MATCH, producerName } from "../../framework/data.ts";
import { object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Prefers endpoints that hold the embeddings of the request's images, video and audio. */
export const mmEmbeddingsCacheScorer = definePlugin({
  type: "mm-embeddings-cache-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers endpoints that hold the embeddings of the request's images, video and audio.",
  parameters: object({ producerName: producerName(MULTIMODAL_MATCH) }),
  consumes: (given) => [{ key: MULTIMODAL_MATCH, producer: given.producerName }],
  create: (given, context) => {
    const handle = context.data(MULTIMODAL_MATCH, given.producerName);
    return {
      score: (cycle, slots, count, scores) => {
        const { matched, requested } = handle.of(cycle);
        if (requested === 0) return;
        for (let i = 0; i < count; i++) scores[i] = (matched[slots[i] ?? 0] ?? 0) / requested;
      },
    };
  },
});
