import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Prefill and decode on separate pods for every request. */
export const alwaysDisaggPdDecider = definePlugin({
  type: "always-disagg-pd-decider",
  kinds: ["decider"],
  stability: "beta",
  description: "Prefills every request on another pod.",
  parameters: noParameters(),
  create: () => ({ decide: () => true }),
});
