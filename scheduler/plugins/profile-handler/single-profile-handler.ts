import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { onlyResult } from "./only-result.ts";

/** Runs the only profile. */
export const singleProfileHandler = definePlugin({
  type: "single-profile-handler",
  kinds: ["profile-handler"],
  stability: "beta",
  description: "Runs the only profile.",
  parameters: noParameters(),
  create: () => ({
    nextProfiles: (cycle, profiles) => (cycle.results.names().length === 0 ? profiles : []),
    primaryProfile: onlyResult,
  }),
});
