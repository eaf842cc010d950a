import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";
import { createSessionAffinity, sessionParameters, sessionUses } from "../session-affinity.ts";

/** A filter that keeps only the endpoint of the session, where it is a candidate. */
export function sessionFilter(type: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["filter", "pre-request", "response-header"],
    stability: "alpha",
    description: "Keeps only the endpoint that served the session before, if it is among the candidates.",
    parameters: sessionParameters,
    consumes: sessionUses,
    create: (given, context) => {
      const affinity = createSessionAffinity(given, context);
      return {
        ...affinity,
        filter: (cycle, slots, count) => {
          const bound = affinity.boundSlot(cycle, slots, count);
          if (bound < 0) return count;
          slots[0] = bound;
          return 1;
        },
        dropReason: () => "another endpoint has the session",
      };
    },
  });
}
