import { definePlugin } from "../../framework/plugin.ts";
import { createSessionAffinity, sessionParameters, sessionUses } from "../session-affinity.ts";

/** Prefers the endpoint that served the session before. */
export const sessionAffinityScorer = definePlugin({
  type: "session-affinity-scorer",
  kinds: ["scorer", "pre-request", "response-header"],
  stability: "alpha",
  description: "1 for the endpoint that served the session before, 0 for the others.",
  parameters: sessionParameters,
  consumes: sessionUses,
  create: (given, context) => {
    const affinity = createSessionAffinity(given, context);
    return {
      ...affinity,
      score: (cycle, slots, count, scores) => {
        const bound = affinity.boundSlot(cycle, slots, count);
        if (bound >= 0) scores[slots.indexOf(bound)] = 1;
      },
    };
  },
});
