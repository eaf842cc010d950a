import { object, text } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";
import { announceStages } from "../profile-handler/stages.ts";

/** A plugin that writes the headers of disaggregation, for handlers of old configurations that did not. */
export function headersHandler(type: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["pre-request"],
    stability: "beta",
    deprecated: "disagg-profile-handler, which writes the headers itself",
    description: "Tells the decode pod which pods prefill and encode.",
    parameters: object({
      prefillProfile: text({ doc: "Prefill profile.", default: "prefill" }),
      encodeProfile: text({ doc: "Encode profile.", default: "encode" }),
    }),
    create: ({ prefillProfile, encodeProfile }, { stages }) => ({
      preRequest: (cycle, decision) => {
        const known = [stages.prefill, stages.encode].some((stage) => cycle.results.has(stage));
        if (!known) announceStages(cycle, decision, { prefill: prefillProfile, encode: encodeProfile });
      },
    }),
  });
}
