import type { Cycle } from "../../framework/cycle.ts";
import { IN_FLIGHT_LOAD, producerName } from "../../framework/data.ts";
import { choice, integer, number, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { keep } from "../filter/keeping.ts";
import { meanOf } from "./mean.ts";

/** Saturation from what this process has under way. As a filter it keeps endpoints below the limit. */
export const concurrencyDetector = definePlugin({
  type: "concurrency-detector",
  kinds: ["saturation-detector", "filter"],
  stability: "beta",
  description: "Saturation from requests or tokens under way; as a filter it keeps endpoints below the limit.",
  parameters: object({
    maxConcurrency: integer({ doc: "Requests at which an endpoint is full.", default: 100, min: 1 }),
    concurrencyMode: choice({ doc: "What is counted.", default: "requests", of: ["requests", "tokens", "hybrid"] }),
    maxTokenConcurrency: integer({ doc: "Tokens at which an endpoint is full.", default: 1_000_000, min: 1 }),
    headroom: number({ doc: "Share by which the filter goes beyond the limit.", default: 0, min: 0 }),
    inFlightLoadProducerName: producerName(IN_FLIGHT_LOAD),
  }),
  consumes: (given) => [{ key: IN_FLIGHT_LOAD, producer: given.inFlightLoadProducerName }],
  create: ({ maxConcurrency, concurrencyMode, maxTokenConcurrency, headroom, inFlightLoadProducerName }, context) => {
    const handle = context.data(IN_FLIGHT_LOAD, inFlightLoadProducerName);
    const loadOf = (cycle: Cycle, slot: number): number => {
      const { requests, tokens } = handle.of(cycle);
      const byRequests = (requests[slot] ?? 0) / maxConcurrency;
      const byTokens = (tokens[slot] ?? 0) / maxTokenConcurrency;
      if (concurrencyMode === "requests") return byRequests;
      return concurrencyMode === "tokens" ? byTokens : Math.max(byRequests, byTokens);
    };
    const requestLimit = Math.floor(maxConcurrency * (1 + headroom));
    const tokenLimit = Math.floor(maxTokenConcurrency * (1 + headroom));
    const hasRoom = (cycle: Cycle, slot: number): boolean => {
      const { requests, tokens } = handle.of(cycle);
      const fewRequests = concurrencyMode === "tokens" || (requests[slot] ?? 0) < requestLimit;
      return fewRequests && (concurrencyMode === "requests" || (tokens[slot] ?? 0) < tokenLimit);
    };
    return {
      saturation: meanOf(loadOf),
      filter: (cycle, slots, count) => keep(slots, count, (slot) => hasRoom(cycle, slot)),
      dropReason: (cycle, slot) => `${handle.of(cycle).requests[slot] ?? 0} requests under way`,
    };
  },
});
