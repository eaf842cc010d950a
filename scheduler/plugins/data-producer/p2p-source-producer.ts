import type { Cycle } from "../../framework/cycle.ts";
import { PREFIX_MATCH, producerName } from "../../framework/data.ts";
import { integer, object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const SOURCE_HEADER = "x-kv-cache-source-host-port";
const UINT32 = 2 ** 32;

/** FNV-1a, 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Names the endpoint from which the chosen one can fetch cached blocks. */
export const p2pSourceProducer = definePlugin({
  type: "p2p-source-producer",
  kinds: ["data-producer", "pre-request"],
  stability: "alpha",
  description: "Names, in a header, the endpoint from which the chosen one can fetch cached blocks.",
  parameters: object({
    prefixMatchInfoProducerName: producerName(PREFIX_MATCH),
    minCachedTokenDelta: integer({ doc: "Tokens that the source must have more.", default: 1, min: 1 }),
    prefillProfileName: text({ doc: "Prefill profile.", default: "prefill" }),
  }),
  consumes: (given) => [{ key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName }],
  create: ({ prefixMatchInfoProducerName, minCachedTokenDelta, prefillProfileName }, context) => {
    const match = context.data(PREFIX_MATCH, prefixMatchInfoProducerName);
    let source = -1;
    /** One of the endpoints within a block of the best, the likelier the shorter its queue. */
    const choose = (cycle: Cycle): number => {
      const { cachedBlocks } = match.of(cycle);
      const candidates = Array.from(cycle.candidates.subarray(0, cycle.candidateCount));
      const best = Math.max(0, ...candidates.map((slot) => cachedBlocks[slot] ?? 0));
      if (best === 0) return -1;
      const near = candidates.filter((slot) => (cachedBlocks[slot] ?? 0) >= Math.max(1, best - 1));
      const weights = near.map((slot) => 1 / (1 + (cycle.endpoints.waiting[slot] ?? 0)));
      let left = (fnv1a(cycle.request.id) / UINT32) * weights.reduce((sum, weight) => sum + weight, 0);
      return near.find((_, index) => (left -= weights[index] ?? 0) < 0) ?? near.at(-1) ?? -1;
    };
    return {
      produce: (cycle) => void (source = choose(cycle)),
      preRequest: (cycle, decision) => {
        decision.removeHeader(SOURCE_HEADER);
        const slot = (decision.results.get(prefillProfileName) ?? decision.primary).slots[0] ?? -1;
        if (source < 0 || slot < 0 || source === slot) return;
        const { cachedBlocks, blockSizeTokens } = match.of(cycle);
        const delta = ((cachedBlocks[source] ?? 0) - (cachedBlocks[slot] ?? 0)) * blockSizeTokens;
        if (delta >= minCachedTokenDelta) decision.setHeader(SOURCE_HEADER, cycle.endpoints.metadata(source).hostPort);
      },
    };
  },
});
