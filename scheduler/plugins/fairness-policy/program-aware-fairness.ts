import { choice, number, object, retired } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Serves the flow that has had the least service, and those that wait long. */
export const programAwareFairness = definePlugin({
  type: "program-aware-fairness",
  kinds: ["fairness-policy"],
  stability: "beta",
  description: "Serves the flow that has had the least service, and those that wait long.",
  handledBy: "flow control",
  parameters: object({
    strategy: choice({ doc: "How flows are rated.", default: "las", of: ["las", ""] }),
    lasWeightService: number({ doc: "Weight of the service had.", default: 0.8, min: 0 }),
    lasWeightHeadWait: number({ doc: "Weight of the wait.", default: 0.2, min: 0 }),
    lasHalfLifeSeconds: number({ doc: "Half-life of the service had; 0: for ever.", default: 60, min: 0 }),
    lasDecayFactor: retired("lasHalfLifeSeconds decides"),
    evictionTtlSeconds: number({ doc: "Idle time after which a flow is forgotten; 0: never.", default: 3600, min: 0 }),
    evictionSweepSeconds: number({ doc: "Pause between clean-ups.", default: 300, above: 0 }),
  }),
});
