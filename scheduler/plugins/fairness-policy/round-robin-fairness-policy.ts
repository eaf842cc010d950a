import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Serves one flow after the other. */
export const roundRobinFairnessPolicy = definePlugin({
  type: "round-robin-fairness-policy",
  kinds: ["fairness-policy"],
  stability: "beta",
  description: "Serves one flow after the other.",
  parameters: noParameters(),
  create: (_, context) => {
    /** Flow that was served last, by priority. */
    const served = context.keep(() => new Map<number, string>());
    return {
      chooseFlow: ({ priority, flows }) => {
        const last = served.get(priority);
        let first = 0;
        let next = -1;
        flows.forEach(({ id }, index) => {
          if (id < flows[first]!.id) first = index;
          if ((last === undefined || id > last) && (next === -1 || id < flows[next]!.id)) next = index;
        });
        const chosen = next === -1 ? first : next;
        served.set(priority, flows[chosen]!.id);
        return chosen;
      },
    };
  },
});
