import { noParameters } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";

/** An order of the requests that wait in a flow. */
export function orderingPolicy(type: string, description: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["ordering-policy"],
    stability: "beta",
    description,
    parameters: noParameters(),
    handledBy: "flow control",
  });
}
