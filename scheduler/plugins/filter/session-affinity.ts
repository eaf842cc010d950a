import type { AnyPluginDefinition } from "../../framework/plugin.ts";
import { sessionPlugin } from "../session-plugin.ts";

const DESCRIPTION = "Keeps only the endpoint that served the session before, if it is among the candidates.";

/** A filter that keeps only the endpoint of the session, where it is a candidate. */
export function sessionFilter(type: string): AnyPluginDefinition {
  return sessionPlugin(type, "filter", DESCRIPTION, (affinity) => ({
    filter: (cycle, slots, count) => {
      const bound = affinity.boundSlot(cycle, slots, count);
      if (bound < 0) return count;
      slots[0] = bound;
      return 1;
    },
    dropReason: () => "another endpoint has the session",
  }));
}
