import { grown, MULTIMODAL_MATCH, MULTIMODAL_PARTS } from "../../framework/data.ts";
import { integer, object, retired } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const DEFAULT_MB = 4096;
/** Size that an embedding is taken to have. */
const ITEM_MB = 2;

/** Remembers which embeddings of images, video and audio each endpoint has computed. */
export const mmEmbeddingsCacheProducer = definePlugin({
  type: "mm-embeddings-cache-producer",
  kinds: ["data-producer", "pre-request", "extractor"],
  stability: "beta",
  description: "Remembers which embeddings of images, video and audio each endpoint has computed.",
  parameters: object({
    cacheSizeInMBPerServer: integer({
      doc: "Cache of an endpoint, 2 MiB for each part; ≤ 0: the default.",
      default: DEFAULT_MB,
    }),
    cacheSizeInMB: retired("now called cacheSizeInMBPerServer"),
  }),
  consumes: () => [{ key: MULTIMODAL_PARTS, producer: "token-producer" }],
  produces: [MULTIMODAL_MATCH],
  create: ({ cacheSizeInMBPerServer: megabytes }, context) => {
    const parts = context.data(MULTIMODAL_PARTS, "token-producer");
    const handle = context.data(MULTIMODAL_MATCH, context.name);
    const capacity = Math.max(1, Math.floor((megabytes > 0 ? megabytes : DEFAULT_MB) / ITEM_MB));
    /** By slot; the oldest part first. */
    const held = new Map<number, Set<string>>();
    const add = (slot: number, hash: string): void => {
      const own = held.get(slot) ?? new Set();
      held.set(slot, own);
      own.delete(hash);
      own.add(hash);
      const [oldest] = own;
      if (own.size > capacity && oldest !== undefined) own.delete(oldest);
    };
    return {
      produce: (cycle) => {
        const record = handle.of(cycle);
        const wanted = parts.of(cycle).parts;
        record.requested = wanted.length;
        if (wanted.length === 0) return;
        record.matched = grown(record.matched, cycle.endpoints.capacity);
        for (let i = 0; i < cycle.candidateCount; i++) {
          const slot = cycle.candidates[i] ?? 0;
          const own = held.get(slot);
          record.matched[slot] = own === undefined ? 0 : wanted.filter(({ hash }) => own.has(hash)).length;
        }
      },
      preRequest: (cycle, decision) => {
        const result = decision.results.get(context.stages.encode) ?? decision.primary;
        for (const slot of result.slots.subarray(0, result.targetCount))
          for (const { hash } of parts.of(cycle).parts) add(slot, hash);
      },
      onEndpointRemoved: (slot) => void held.delete(slot),
      dumpState: () => ({ endpoints: held.size, parts: [...held.values()].reduce((sum, own) => sum + own.size, 0) }),
    };
  },
});
