import { noParameters } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin, type OrderingPolicy } from "../../framework/plugin.ts";

/** An order of the requests that wait in a flow. */
export function orderingPolicy(
  type: string,
  description: string,
  orderKey: OrderingPolicy["orderKey"],
): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["ordering-policy"],
    stability: "beta",
    description,
    parameters: noParameters(),
    create: () => ({ orderKey }),
  });
}
