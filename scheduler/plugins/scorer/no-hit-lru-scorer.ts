import type { Cycle } from "../../framework/cycle.ts";
import { PREFIX_MATCH, producerName } from "../../framework/data.ts";
import { integer, object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { LruRanks } from "./lru-ranks.ts";

const DEFAULT_SIZE = 1024;

/** Spreads requests that hit no cache over the endpoints that got such requests longest ago. */
export const noHitLruScorer = definePlugin({
  type: "no-hit-lru-scorer",
  kinds: ["scorer", "pre-request"],
  stability: "beta",
  description: "Sends requests without a cached prefix where the last such request is longest ago.",
  parameters: object({
    lruSize: integer({ doc: "Endpoints remembered; ≤ 0: the default.", default: DEFAULT_SIZE }),
    prefixMatchInfoProducerName: producerName(PREFIX_MATCH),
    prefixPluginType: text({ doc: "Accepted, not read.", default: "" }),
    prefixPluginName: text({ doc: "Accepted, not read.", default: "" }),
  }),
  consumes: (given) => [{ key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName }],
  create: (given, context) => {
    const handle = context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName);
    const ranks = context.keep(() => new LruRanks(given.lruSize > 0 ? given.lruSize : DEFAULT_SIZE));
    const isWarm = (cycle: Cycle, slots: Int32Array, count: number): boolean => {
      const { match, totalBlocks } = handle.of(cycle);
      if (totalBlocks === 0) return false;
      for (let i = 0; i < count; i++) if ((match[slots[i] ?? 0] ?? 0) > 0) return true;
      return false;
    };
    return {
      score: (cycle, slots, count, scores) => {
        if (isWarm(cycle, slots, count)) scores.fill(0.5, 0, count);
        else ranks.score(slots, count, scores);
      },
      preRequest: (cycle, decision) => {
        for (const name of new Set([decision.primary.profile, context.stages.prefill])) {
          const result = decision.results.get(name);
          const target = result?.slots[0];
          if (result === undefined || target === undefined) continue;
          if (!isWarm(cycle, result.slots, result.count)) ranks.touch(target);
        }
      },
      onEndpointRemoved: (slot) => ranks.remove(slot),
      dumpState: () => ({ endpoints: ranks.oldestFirst(100).map((slot) => context.endpoints.metadata(slot).name) }),
    };
  },
});
