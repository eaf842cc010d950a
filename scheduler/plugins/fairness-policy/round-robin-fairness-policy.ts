import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Serves one flow after the other. */
export const roundRobinFairnessPolicy = definePlugin({
  type: "round-robin-fairness-policy",
  kinds: ["fairness-policy"],
  stability: "beta",
  description: "Serves one flow after the other.",
  parameters: noParameters(),
  handledBy: "flow control",
});
