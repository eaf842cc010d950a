/** Scorers of cached state: prefixes and adapters. Formulas of the llm-d endpoint picker. */
import { PREFIX_MATCH } from "../../framework/data.ts";
import { integer, noParameters, number, object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { LruRanks } from "./lru-ranks.ts";

const producerName = text({ doc: "Producer of the prefix match.", default: "approx-prefix-cache-producer" });

/** Prefers endpoints that hold much of the prompt's prefix. */
export const prefixCacheScorer = definePlugin({
  type: "prefix-cache-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers endpoints that have cached the prompt's prefix.",
  parameters: object(
    {
      prefixMatchInfoProducerName: producerName,
      matchLengthWeight: number({ doc: "Share of the score that absolute length makes.", default: 0, min: 0, max: 1 }),
      matchLengthScaleTokens: number({ doc: "Length that counts as full.", default: 8192 }),
    },
    {
      check: ({ matchLengthWeight, matchLengthScaleTokens: value }, path, report) => {
        if (matchLengthWeight === 0 || value > 0) return;
        const remedy = "give a number > 0";
        report.error({ path: `${path}.matchLengthScaleTokens`, value, cause: "must be > 0", remedy });
      },
    },
  ),
  consumes: (given) => [{ key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName }],
  create: ({ matchLengthWeight: weight, matchLengthScaleTokens: scale, prefixMatchInfoProducerName }, context) => {
    const handle = context.data(PREFIX_MATCH, prefixMatchInfoProducerName);
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
  },
});

/** Spreads requests that hit no cache over the endpoints that got such requests longest ago. */
export const noHitLruScorer = definePlugin({
  type: "no-hit-lru-scorer",
  kinds: ["scorer", "pre-request"],
  stability: "beta",
  description: "Sends requests without a cached prefix where the last such request is longest ago.",
  parameters: object({
    lruSize: integer({ doc: "Endpoints remembered.", default: 1024 }),
    prefixMatchInfoProducerName: producerName,
    prefixPluginType: text({ doc: "Accepted, unused.", default: "" }),
    prefixPluginName: text({ doc: "Accepted, unused.", default: "" }),
  }),
  consumes: (given) => [{ key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName }],
  create: (given, context) => {
    const handle = context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName);
    const ranks = new LruRanks(given.lruSize > 0 ? given.lruSize : 1024);
    return {
      score: (cycle, slots, count, scores) => {
        const { match, totalBlocks } = handle.of(cycle);
        const warm = totalBlocks > 0 && slots.subarray(0, count).some((slot) => (match[slot] ?? 0) > 0);
        if (warm) scores.fill(0.5, 0, count);
        else ranks.score(slots, count, scores);
      },
      preRequest: (cycle, decision) => {
        const { match, totalBlocks } = handle.of(cycle);
        for (const name of [decision.primary.profile, context.stages.prefill]) {
          const result = decision.results.get(name);
          const target = result?.slots[0];
          if (result === undefined || target === undefined) continue;
          const survivors = result.slots.subarray(0, result.count);
          if (totalBlocks === 0 || survivors.every((slot) => (match[slot] ?? 0) === 0)) ranks.touch(target);
        }
      },
      onEndpointRemoved: (slot) => ranks.remove(slot),
    };
  },
});

/** Prefers endpoints where the adapter runs, then those with room for it, then those where it waits. */
export const loraAffinityScorer = definePlugin({
  type: "lora-affinity-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers endpoints that have the LoRA adapter loaded or have room for it.",
  parameters: noParameters(),
  create: () => ({
    score: ({ endpoints, request }, slots, count, scores) => {
      for (let i = 0; i < count; i++) {
        const slot = slots[i] ?? 0;
        const active = endpoints.activeModels(slot);
        const waiting = endpoints.waitingModels(slot);
        if (active.has(request.targetModel)) scores[i] = 1;
        else if (active.size + waiting.size < (endpoints.maxActiveModels[slot] ?? 0)) scores[i] = 0.8;
        else scores[i] = waiting.has(request.targetModel) ? 0.6 : 0;
      }
    },
  }),
});
