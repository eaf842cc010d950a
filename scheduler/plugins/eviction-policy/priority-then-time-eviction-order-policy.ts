import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Ends the least urgent requests first, of those the latest. */
export const priorityThenTimeEvictionOrderPolicy = definePlugin({
  type: "priority-then-time-eviction-order-policy",
  kinds: ["eviction-order-policy"],
  stability: "alpha",
  description: "Ends the least urgent requests first, of those the latest.",
  parameters: noParameters(),
  limits: "not used: running requests are not ended for others",
});
