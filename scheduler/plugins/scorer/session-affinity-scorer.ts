import { sessionPlugin } from "../session-plugin.ts";

/** Prefers the endpoint that served the session before. */
export const sessionAffinityScorer = sessionPlugin(
  "session-affinity-scorer",
  "scorer",
  "1 for the endpoint that served the session before, 0 for the others.",
  (affinity) => ({
    score: (cycle, slots, count, scores) => {
      const bound = affinity.boundSlot(cycle, slots, count);
      if (bound >= 0) scores[slots.indexOf(bound)] = 1;
    },
  }),
);
