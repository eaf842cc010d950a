import { noParameters } from "../../framework/parameters.ts";
import { definePlugin, type FlowView } from "../../framework/plugin.ts";

const isSooner = (a: FlowView, b: FlowView): boolean =>
  a.headKey < b.headKey || (a.headKey === b.headKey && a.head.enqueuedAtMs < b.head.enqueuedAtMs);

/** Serves the most urgent request of all flows. */
export const globalStrictFairnessPolicy = definePlugin({
  type: "global-strict-fairness-policy",
  kinds: ["fairness-policy"],
  stability: "beta",
  description: "Serves the most urgent request of all flows.",
  parameters: noParameters(),
  create: () => ({
    chooseFlow: ({ flows }) => {
      let best = 0;
      flows.forEach((flow, index) => {
        if (isSooner(flow, flows[best]!)) best = index;
      });
      return best;
    },
  }),
});
