import { IN_FLIGHT_LOAD, producerName } from "../../framework/data.ts";
import { number, object, retired } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Prefers endpoints with few requests of this process under way. */
export const activeRequestScorer = definePlugin({
  type: "active-request-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers endpoints with few requests of this scheduler under way.",
  parameters: object({
    requestTimeout: retired("requests are followed to their end"),
    idleThreshold: number({ doc: "Requests up to which an endpoint counts as idle; negative: 0.", default: 0 }),
    maxBusyScore: number({ doc: "Best score of an endpoint that is not idle; outside 0–1: 1.", default: 1 }),
    inFlightLoadProducerName: producerName(IN_FLIGHT_LOAD),
  }),
  consumes: (given) => [{ key: IN_FLIGHT_LOAD, producer: given.inFlightLoadProducerName }],
  create: (given, context) => {
    const load = context.data(IN_FLIGHT_LOAD, given.inFlightLoadProducerName);
    const busy = given.maxBusyScore >= 0 && given.maxBusyScore <= 1 ? given.maxBusyScore : 1;
    const idle = Math.max(0, given.idleThreshold);
    return {
      score: (cycle, slots, count, scores) => {
        const { requests } = load.of(cycle);
        let max = 0;
        for (let i = 0; i < count; i++) max = Math.max(max, requests[slots[i] ?? 0] ?? 0);
        for (let i = 0; i < count; i++) {
          const own = requests[slots[i] ?? 0] ?? 0;
          scores[i] = own <= idle ? 1 : ((max - own) / max) * busy;
        }
      },
    };
  },
});
