import type { Cycle, Ticket } from "../../framework/cycle.ts";
import {
  grown,
  IN_FLIGHT_LOAD,
  PREFIX_MATCH,
  producerName,
  TOKENIZED_PROMPT,
  UNCACHED_TOKENS,
} from "../../framework/data.ts";
import { bool, number, object, optional } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { InFlightCounts, type Share } from "./in-flight-counts.ts";
import { InFlightGauges } from "./in-flight-gauges.ts";

const parameters = object({
  addEstimatedOutputTokens: bool({ doc: "Count expected output tokens too.", default: false }),
  outputRatio: number({ doc: "Expected output tokens for each prompt token.", default: 1.5, min: 0 }),
  maxEstimatedOutputTokens: optional(number({ doc: "Cap of that estimate.", default: 0, min: 0 })),
  prefixMatchInfoProducerName: producerName(PREFIX_MATCH),
  syncCrossReplicaState: bool({ doc: "Accepted; replicas count for themselves.", default: true }),
});
type Parameters = typeof parameters.fallback;

function estimatedOutput(given: Parameters, prompt: number, limit: number | undefined): number {
  if (!given.addEstimatedOutputTokens || prompt === 0) return 0;
  return Math.min(
    Math.round(prompt * given.outputRatio),
    limit ?? Infinity,
    given.maxEstimatedOutputTokens ?? Infinity,
  );
}

/** Live in-flight requests and tokens of each endpoint, and the tokens that each would have to compute. */
export const inflightLoadProducer = definePlugin({
  type: "inflight-load-producer",
  kinds: ["data-producer", "pre-request", "response-body"],
  stability: "beta",
  description: "Counts requests and tokens under way to each endpoint.",
  parameters,
  consumes: (given) => [
    { key: TOKENIZED_PROMPT, producer: "token-producer" },
    { key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName, optional: true },
  ],
  produces: [IN_FLIGHT_LOAD, UNCACHED_TOKENS],
  create: (given, context) => {
    const { counts, gauges } = context.keep(() => ({
      counts: new InFlightCounts(context.endpoints),
      gauges: new InFlightGauges(context),
    }));
    const load = context.data(IN_FLIGHT_LOAD, context.name);
    const uncached = context.data(UNCACHED_TOKENS, context.name);
    const prefix = context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName);
    const prompt = context.data(TOKENIZED_PROMPT, "token-producer");
    const { prefill } = context.stages;
    const shareOf = (cycle: Cycle, profile: string, slot: number): Share => {
      const { tokenCount } = prompt.of(cycle);
      const output = estimatedOutput(given, tokenCount, cycle.request.body.maxOutputTokens);
      const tokens = (uncached.of(cycle).tokens[slot] ?? tokenCount) + output;
      return { slot, generation: cycle.endpoints.generation[slot] ?? 0, requests: 1, tokens, profile };
    };
    // `preRequest` of this instance wrote it.
    const sharesOf = (ticket: Ticket): readonly Share[] => (ticket.states[context.index] ?? []) as readonly Share[];
    const release = (ticket: Ticket, share: Share): void => {
      if (context.endpoints.generation[share.slot] !== share.generation) return;
      counts.release(share);
      gauges.change(share, ticket.request, -1);
    };
    /** The first token shows that prefill is over. */
    const afterFirstToken = (share: Share): Share => {
      if (share.profile === prefill) return { ...share, requests: 0, tokens: 0 };
      return given.addEstimatedOutputTokens ? share : { ...share, tokens: 0 };
    };
    return {
      produce: (cycle) => {
        counts.grow(cycle.endpoints.capacity);
        const record = load.of(cycle);
        record.requests = counts.requests;
        record.tokens = counts.tokens;
        const own = uncached.of(cycle);
        own.tokens = grown(own.tokens, cycle.endpoints.capacity);
        const { match, totalBlocks, blockSizeTokens } = prefix.of(cycle);
        const rest = Math.max(0, prompt.of(cycle).tokenCount - totalBlocks * blockSizeTokens);
        for (let i = 0; i < cycle.candidateCount; i++) {
          const slot = cycle.candidates[i] ?? 0;
          own.tokens[slot] = Math.max(0, (totalBlocks - (match[slot] ?? 0)) * blockSizeTokens) + rest;
        }
      },
      preRequest: (cycle, decision) => {
        const shares: Share[] = [];
        for (const profile of decision.results.names()) {
          const slot = decision.results.get(profile)?.slots[0];
          if (slot !== undefined) shares.push(shareOf(cycle, profile, slot));
        }
        for (const share of shares) {
          counts.add(share);
          gauges.change(share, cycle.request, 1);
        }
        decision.ticket.states[context.index] = shares;
      },
      onFirstChunk: (ticket) => {
        ticket.states[context.index] = sharesOf(ticket).map((share) => {
          const left = afterFirstToken(share);
          if (left !== share)
            release(ticket, {
              ...share,
              requests: share.requests - left.requests,
              tokens: share.tokens - left.tokens,
            });
          return left;
        });
      },
      onComplete: (ticket) => {
        sharesOf(ticket).forEach((share) => release(ticket, share));
        ticket.states[context.index] = undefined;
      },
      onEndpointRemoved: (slot) => {
        counts.reset(slot);
        gauges.drop(slot);
      },
      dumpState: () => counts.dump(100),
    };
  },
});
