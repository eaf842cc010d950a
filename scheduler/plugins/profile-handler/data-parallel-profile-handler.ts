import { integer, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { viaPrimaryPort } from "./data-parallel.ts";
import { onlyResult } from "./only-result.ts";

const ONE_PROFILE = "data parallel profile handler is intended to be used with a single profile";

/** Runs the only profile, and reaches the picked rank by way of the sidecar on the pod's primary port. */
export const dataParallelProfileHandler = definePlugin({
  type: "data-parallel-profile-handler",
  kinds: ["profile-handler", "pre-request"],
  stability: "beta",
  deprecated: "single-profile-handler with target ports for each rank",
  description: "Runs the only profile, and reaches the picked rank through the sidecar on the primary port.",
  parameters: object({
    primaryPort: integer({
      doc: "Port of the sidecar; 0: ranks are reached directly.",
      default: 8000,
      min: 0,
      max: 65_535,
    }),
  }),
  create: ({ primaryPort }) => ({
    nextProfiles: ({ results }, profiles) => (results.names().length === 0 && profiles.length === 1 ? profiles : []),
    primaryProfile: (cycle) =>
      cycle.results.names().length === 0
        ? { refusal: { code: "ResourceExhausted", message: ONE_PROFILE } }
        : onlyResult(cycle),
    preRequest: (_, decision) => viaPrimaryPort(decision, primaryPort),
  }),
});
