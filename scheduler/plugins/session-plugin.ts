import { type AnyPluginDefinition, definePlugin, type Plugin } from "../framework/plugin.ts";
import { createSessionAffinity, type SessionAffinity, sessionParameters, sessionUses } from "./session-affinity.ts";

/** A plugin that ties sessions to endpoints; `use` says what follows for the endpoint of a request's session. */
export function sessionPlugin(
  type: string,
  kind: "filter" | "scorer",
  description: string,
  use: (affinity: SessionAffinity) => Plugin,
): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: [kind, "pre-request", "response-header"],
    stability: "alpha",
    description,
    parameters: sessionParameters,
    consumes: sessionUses,
    create: (given, context) => {
      const affinity = createSessionAffinity(given, context);
      return { ...affinity, ...use(affinity) };
    },
  });
}
