import { grown, IN_FLIGHT_LOAD, PREFIX_MATCH, TOKENIZED_PROMPT, UNCACHED_TOKENS } from "../../framework/data.ts";
import { bool, number, object, optional, text } from "../../framework/parameters.ts";
import { definePlugin, type PluginContext } from "../../framework/plugin.ts";
import type { Cycle, Ticket } from "../../framework/cycle.ts";

const parameters = object({
  addEstimatedOutputTokens: bool({ doc: "Count expected output tokens too.", default: false }),
  outputRatio: number({ doc: "Expected output tokens for each prompt token.", default: 1.5, min: 0 }),
  maxEstimatedOutputTokens: optional(number({ doc: "Cap of that estimate.", default: 0, min: 0 })),
  prefixMatchInfoProducerName: text({ doc: "Producer of the prefix match.", default: "approx-prefix-cache-producer" }),
  syncCrossReplicaState: bool({ doc: "Accepted; replicas count for themselves.", default: true }),
});
type Parameters = typeof parameters.fallback;

/** What one request has added to one endpoint. */
interface Share {
  readonly slot: number;
  readonly generation: number;
  readonly tokens: number;
}

function estimatedOutput(given: Parameters, prompt: number, limit: number | undefined): number {
  if (!given.addEstimatedOutputTokens || prompt === 0) return 0;
  return Math.min(
    Math.round(prompt * given.outputRatio),
    limit ?? Infinity,
    given.maxEstimatedOutputTokens ?? Infinity,
  );
}

/** Counts what this process has sent to each endpoint and has not seen answered. */
class Counts {
  requests: Float64Array = new Float64Array(0);
  tokens: Float64Array = new Float64Array(0);
  readonly #context: PluginContext;

  constructor(context: PluginContext) {
    this.#context = context;
  }

  grow(capacity: number): void {
    this.requests = grown(this.requests, capacity);
    this.tokens = grown(this.tokens, capacity);
  }

  add({ slot, tokens }: Share): void {
    this.requests[slot] = (this.requests[slot] ?? 0) + 1;
    this.tokens[slot] = (this.tokens[slot] ?? 0) + tokens;
  }

  /** Shares of an endpoint that is gone are dropped: its slot may belong to another by now. */
  release({ slot, generation, tokens }: Share): void {
    if (this.#context.endpoints.generation[slot] !== generation) return;
    this.requests[slot] = Math.max(0, (this.requests[slot] ?? 0) - 1);
    this.tokens[slot] = Math.max(0, (this.tokens[slot] ?? 0) - tokens);
  }

  reset(slot: number): void {
    this.requests[slot] = 0;
    this.tokens[slot] = 0;
  }
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
    const counts = new Counts(context);
    const load = context.data(IN_FLIGHT_LOAD, context.name);
    const uncached = context.data(UNCACHED_TOKENS, context.name);
    const prefix = context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName);
    const prompt = context.data(TOKENIZED_PROMPT, "token-producer");
    const shareOf = (cycle: Cycle, slot: number): Share => {
      const { tokenCount } = prompt.of(cycle);
      const output = estimatedOutput(given, tokenCount, cycle.request.body.maxOutputTokens);
      const tokens = (uncached.of(cycle).tokens[slot] ?? tokenCount) + output;
      return { slot, generation: cycle.endpoints.generation[slot] ?? 0, tokens };
    };
    return {
      produce: (cycle) => {
        counts.grow(cycle.endpoints.capacity);
        Object.assign(load.of(cycle), { requests: counts.requests, tokens: counts.tokens });
        const record = uncached.of(cycle);
        record.tokens = grown(record.tokens, cycle.endpoints.capacity);
        const { match, totalBlocks, blockSizeTokens } = prefix.of(cycle);
        const { tokenCount } = prompt.of(cycle);
        for (const slot of cycle.candidates.subarray(0, cycle.candidateCount)) {
          const blocks = Math.max(0, (totalBlocks - (match[slot] ?? 0)) * blockSizeTokens);
          record.tokens[slot] = Math.min(tokenCount, blocks + Math.max(0, tokenCount - totalBlocks * blockSizeTokens));
        }
      },
      preRequest: (cycle, decision) => {
        const shares: Share[] = [];
        for (const profile of decision.results.names()) {
          const slot = decision.results.get(profile)?.slots[0];
          if (slot !== undefined) shares.push(shareOf(cycle, slot));
        }
        shares.forEach((share) => counts.add(share));
        decision.ticket.states[context.index] = shares;
      },
      onComplete: (ticket: Ticket) => {
        const shares = ticket.states[context.index] as readonly Share[] | undefined;
        shares?.forEach((share) => counts.release(share));
        ticket.states[context.index] = undefined;
      },
      onEndpointRemoved: (slot) => counts.reset(slot),
    };
  },
});
