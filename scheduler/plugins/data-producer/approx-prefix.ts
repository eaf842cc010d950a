/** Predicts cached prompt prefixes from past decisions: what the producers of that kind share. */
import type { Cycle } from "../../framework/cycle.ts";
import { type DataUse, grown, PREFIX_MATCH, TOKENIZED_PROMPT } from "../../framework/data.ts";
import type { EndpointColumns } from "../../framework/endpoint.ts";
import { bool, integer, object } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";
import { blockKeys, chainSeed } from "../../prefix/hash-chain.ts";
import { PrefixIndex } from "../../prefix/prefix-index.ts";

/** Smallest block: smaller ones cost more to look up than they tell apart. */
const MIN_BLOCK_TOKENS = 64;
const DEFAULT_BLOCK_TOKENS = 16;
const DEFAULT_CAPACITY = 31_250;
const BYTES_PER_TOKEN = 4;

const parameters = object(
  {
    autoTune: bool({ doc: "Take block size and capacity from the engines' metrics.", default: true }),
    blockSizeTokens: integer({ doc: "Tokens of a block; at least 64 are used.", default: DEFAULT_BLOCK_TOKENS }),
    blockSize: integer({ doc: "Former name of blockSizeTokens.", default: 0 }),
    maxPrefixTokensToMatch: integer({
      doc: "Tokens of a prompt that are looked at; 0: no limit.",
      default: 131_072,
      min: 0,
    }),
    maxPrefixBlocksToMatch: integer({ doc: "Limit in blocks where there is none in tokens.", default: 2048, min: 0 }),
    lruCapacityPerServer: integer({ doc: "Blocks remembered for each endpoint.", default: DEFAULT_CAPACITY }),
  },
  {
    check: (given, path, report) => {
      const value = configuredBlock(given);
      if (given.autoTune || value > 0) return;
      const cause = "must be > 0 when autoTune is false";
      report.error({ path: `${path}.blockSizeTokens`, value, cause, remedy: "give tokens of a block" });
    },
  },
);
type Parameters = typeof parameters.fallback;

function configuredBlock({ blockSize, blockSizeTokens }: Record<"blockSize" | "blockSizeTokens", number>): number {
  return blockSize > 0 && blockSizeTokens === DEFAULT_BLOCK_TOKENS ? blockSize : blockSizeTokens;
}

/** Block size that suits an engine with blocks of `told` tokens (0: it does not tell). */
function blockOf(given: Parameters, told: number): number {
  return Math.max(given.autoTune && told > 0 ? told : configuredBlock(given), MIN_BLOCK_TOKENS);
}

/** The block size that suits most candidates; `current` where none suits more, so that a mixed pool keeps its matches. */
function blockTokens(given: Parameters, cycle: Cycle, current: number | undefined): number {
  const { candidates, candidateCount } = cycle;
  const { cacheBlockSize: told } = cycle.endpoints;
  const first = told[candidates[0] ?? 0] ?? 0;
  let alike = 1;
  while (alike < candidateCount && told[candidates[alike]!] === first) alike++;
  if (alike >= candidateCount) return blockOf(given, first);
  const counts = new Map<number, number>();
  for (const slot of candidates.subarray(0, candidateCount)) {
    const size = blockOf(given, told[slot] ?? 0);
    counts.set(size, (counts.get(size) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  if (current !== undefined && counts.get(current) === most) return current;
  return [...counts].find(([, count]) => count === most)?.[0] ?? blockOf(given, first);
}

function maxBlocks({ maxPrefixTokensToMatch, maxPrefixBlocksToMatch }: Parameters, block: number): number {
  if (maxPrefixTokensToMatch > 0) return Math.floor(maxPrefixTokensToMatch / block);
  return maxPrefixBlocksToMatch > 0 ? maxPrefixBlocksToMatch : Infinity;
}

/** Engine blocks are smaller than ours: the capacity is converted, so that both hold the same number of tokens. */
function capacity(given: Parameters, endpoints: EndpointColumns, slot: number, block: number): number {
  const engineTokens = (endpoints.cacheNumBlocks[slot] ?? 0) * (endpoints.cacheBlockSize[slot] ?? 0);
  if (given.autoTune && engineTokens > 0) return Math.max(1, Math.floor(engineTokens / block));
  return given.lruCapacityPerServer > 0 ? given.lruCapacityPerServer : DEFAULT_CAPACITY;
}

const TOKENS: DataUse = { key: TOKENIZED_PROMPT, producer: "token-producer" };
const RATIO_BUCKETS = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const BYTE_BUCKETS = [0, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
const LABELS = ["plugin_name", "plugin_type"];

/** A producer that learns from decisions which prompts each endpoint has seen. */
export function approxPrefixProducer(type: string, stability: "alpha" | "beta"): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["data-producer", "pre-request"],
    stability,
    description: "Predicts from past decisions which prefixes of prompts each endpoint has cached.",
    parameters,
    consumes: () => [TOKENS],
    produces: [PREFIX_MATCH],
    create: (given, context) => {
      const index = context.keep(() => new PrefixIndex());
      const match = context.data(PREFIX_MATCH, context.name);
      const tokens = context.data(TOKENIZED_PROMPT, TOKENS.producer);
      const twin = (name: string) => ({
        name: `llm_d_epp_${name}`,
        labels: LABELS,
        aliases: [{ name: `inference_extension_${name}` }],
      });
      const ratios = context.metrics
        .histogram({
          ...twin("prefix_indexer_hit_ratio"),
          help: "Share of the prompt that was cached.",
          buckets: RATIO_BUCKETS,
        })
        .labels(context.name, type);
      const bytes = context.metrics
        .histogram({ ...twin("prefix_indexer_hit_bytes"), help: "Cached bytes of the prompt.", buckets: BYTE_BUCKETS })
        .labels(context.name, type);
      const size = context.metrics
        .gauge({ ...twin("prefix_indexer_size"), help: "Blocks that are remembered." })
        .labels(context.name, type);
      /** Hashes of the request that is being decided, one list for each prompt. */
      let prompts: number[][] = [];
      let known: number | undefined;
      let block = MIN_BLOCK_TOKENS;
      return {
        produce: (cycle) => {
          const { request, candidates, candidateCount, endpoints } = cycle;
          block = known = blockTokens(given, cycle, known);
          const seed = chainSeed(request.targetModel, request.body.cacheSalt);
          const most = maxBlocks(given, block);
          prompts = tokens.of(cycle).prompts.map((prompt) => blockKeys(prompt, seed, block, most));
          const record = match.of(cycle);
          record.match = grown(record.match, endpoints.capacity);
          record.cachedBlocks = record.match;
          record.totalBlocks = prompts.reduce((sum, hashes) => sum + hashes.length, 0);
          record.blockSizeTokens = block;
          for (let i = 0; i < candidateCount; i++) {
            const slot = candidates[i] ?? 0;
            record.match[slot] = prompts.reduce((sum, hashes) => sum + index.match(slot, hashes), 0);
          }
        },
        preRequest: (cycle, decision) => {
          const primary = decision.primary.slots[0] ?? 0;
          const { match: matched, totalBlocks } = match.of(cycle);
          if (totalBlocks > 0) {
            ratios.observe((matched[primary] ?? 0) / totalBlocks);
            bytes.observe((matched[primary] ?? 0) * block * BYTES_PER_TOKEN);
          }
          const prefill = decision.results.get(context.stages.prefill)?.slots[0] ?? primary;
          for (const slot of new Set([primary, prefill]))
            for (const hashes of prompts) index.add(slot, hashes, capacity(given, cycle.endpoints, slot, block));
          size.set(index.size);
        },
        onEndpointRemoved: (slot) => index.remove(slot),
        dumpState: () => ({ blocks: index.size }),
      };
    },
  });
}
