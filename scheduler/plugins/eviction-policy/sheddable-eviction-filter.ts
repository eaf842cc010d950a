import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Running requests of negative priority may be ended. */
export const sheddableEvictionFilter = definePlugin({
  type: "sheddable-eviction-filter",
  kinds: ["eviction-filter"],
  stability: "alpha",
  description: "Running requests of negative priority may be ended.",
  parameters: noParameters(),
  limits: "not used: running requests are not ended for others",
});
