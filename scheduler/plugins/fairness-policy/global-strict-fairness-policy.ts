import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Serves the most urgent request of all flows. */
export const globalStrictFairnessPolicy = definePlugin({
  type: "global-strict-fairness-policy",
  kinds: ["fairness-policy"],
  stability: "beta",
  description: "Serves the most urgent request of all flows.",
  parameters: noParameters(),
  handledBy: "flow control",
});
