import type { Cycle } from "../../framework/cycle.ts";
import { grown, PREFIX_MATCH, TOKENIZED_PROMPT } from "../../framework/data.ts";
import { choice, integer, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { blockKeys, chainSeed } from "../../prefix/hash-chain.ts";
import { type BurstMember, placeBurst, type Replica } from "./burst-placement.ts";

const DEFAULT_BLOCKS = 2048;

interface Waiting extends BurstMember {
  readonly replicas: readonly Replica[];
  readonly resolve: (slot: number) => void;
}

/** Where a burst wants the request. */
interface Assignment {
  readonly slot: number;
  readonly generation: number;
}

const parameters = object(
  {
    windowDurationMs: integer({
      doc: "How long the first request of a burst waits.",
      default: 100,
      min: 1,
      max: 10_000,
    }),
    maxPerReplica: integer({ doc: "Equal requests on one endpoint; -1: any number.", default: -1, min: -1 }),
    blockSizeTokens: integer({ doc: "Tokens of a block.", default: 64, min: 1 }),
    maxPrefixTokensToMatch: integer({ doc: "Tokens that are looked at; 0: 2048 blocks.", default: 0, min: 0 }),
    minColocateBlocks: integer({
      doc: "Shared blocks that bring different prompts together; 0: off.",
      default: 0,
      min: 0,
    }),
    maxBatchSize: integer({ doc: "Requests of a burst; -1: any number.", default: 1000, min: -1 }),
    balanceBy: choice({ doc: "What is spread evenly.", default: "requests", of: ["requests", "tokens"] }),
  },
  {
    check: ({ maxPrefixTokensToMatch: tokens, blockSizeTokens: block, ...limits }, path, report) => {
      for (const name of ["maxPerReplica", "maxBatchSize"] as const)
        if (limits[name] === 0)
          report.error({ path: `${path}.${name}`, value: 0, cause: "lets nothing through", remedy: "give -1 or ≥ 1" });
      if (tokens === 0 || tokens >= block) return;
      const remedy = `give 0 or at least ${block}`;
      report.error({ path: `${path}.maxPrefixTokensToMatch`, value: tokens, cause: "is less than a block", remedy });
    },
  },
);

/** Holds requests for a moment, so that equal prompts of a burst meet on one endpoint. */
export const burstPrefixCacheProducer = definePlugin({
  type: "burst-prefix-cache-producer",
  kinds: ["data-producer"],
  stability: "alpha",
  description: "Holds requests for a moment, so that those of a burst with equal prompts meet on one endpoint.",
  parameters,
  consumes: () => [{ key: TOKENIZED_PROMPT, producer: "token-producer" }],
  produces: [PREFIX_MATCH],
  create: (given, context) => {
    const handle = context.data(PREFIX_MATCH, context.name);
    const tokens = context.data(TOKENIZED_PROMPT, "token-producer");
    const most =
      given.maxPrefixTokensToMatch > 0
        ? Math.floor(given.maxPrefixTokensToMatch / given.blockSizeTokens)
        : DEFAULT_BLOCKS;
    let burst: Waiting[] = [];

    const blocksOf = (cycle: Cycle): number[] => {
      const seed = chainSeed(cycle.request.targetModel, cycle.request.body.cacheSalt);
      return tokens.of(cycle).prompts.flatMap((prompt) => blockKeys(prompt, seed, given.blockSizeTokens, most));
    };
    const replicasOf = ({ candidates, candidateCount, endpoints }: Cycle): Replica[] =>
      Array.from(candidates.subarray(0, candidateCount), (slot) => ({
        slot,
        running: endpoints.running[slot] ?? 0,
        name: endpoints.metadata(slot).name,
      }));
    const close = (): void => {
      const members = burst;
      burst = [];
      const slots = placeBurst(members, members[0]?.replicas ?? [], given);
      members.forEach(({ resolve }, index) => resolve(slots[index] ?? -1));
    };
    return {
      prepare: async (cycle): Promise<Assignment> => {
        if (given.maxBatchSize > 0 && burst.length >= given.maxBatchSize) throw new Error("the burst is full");
        const { generation } = cycle.endpoints;
        const member = { blocks: blocksOf(cycle), replicas: replicasOf(cycle) };
        const slot = await new Promise<number>((resolve) => {
          if (burst.push({ ...member, resolve }) === 1) setTimeout(close, given.windowDurationMs);
        });
        return { slot, generation: generation[slot] ?? 0 };
      },
      produce: (cycle) => {
        const record = handle.of(cycle);
        record.match = grown(record.match, cycle.endpoints.capacity).fill(0);
        record.cachedBlocks = record.match;
        record.blockSizeTokens = given.blockSizeTokens;
        record.totalBlocks = blocksOf(cycle).length;
        // `prepare` of this instance made it.
        const assigned = cycle.prepared[context.index] as Assignment | undefined;
        if (assigned === undefined || assigned.slot < 0) return;
        if (cycle.endpoints.generation[assigned.slot] === assigned.generation)
          record.match[assigned.slot] = record.totalBlocks;
      },
    };
  },
});
