import { choice, number, object, required } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Lower limits for less urgent bands. */
export const priorityHoldbackPolicy = definePlugin({
  type: "priority-holdback-policy",
  kinds: ["usage-limit-policy"],
  stability: "alpha",
  description: "Less urgent bands stop at a lower saturation.",
  parameters: object(
    {
      minCeiling: required(number({ doc: "Limit of the least urgent band, < 1.", default: 0, min: 0, max: 1 })),
      maxCeiling: number({ doc: "Limit of the most urgent band.", default: 1, above: 0, max: 1 }),
      domain: choice({ doc: "Whether ranks or values of priorities count.", default: "rank", of: ["rank", "value"] }),
      shape: choice({ doc: "How limits fall.", default: "linear", of: ["linear"] }),
    },
    {
      check: ({ minCeiling, maxCeiling }, path, report) => {
        if (minCeiling < maxCeiling) return;
        const cause = "must be less than maxCeiling";
        report.error({ path: `${path}.minCeiling`, value: minCeiling, cause, remedy: `give less than ${maxCeiling}` });
      },
    },
  ),
  create: ({ minCeiling: min, maxCeiling: max, domain }) => ({
    ceilings: (_, priorities, out) => {
      const last = priorities.length - 1;
      const [highest = 0, lowest = 0] = [priorities[0], priorities[last]];
      priorities.forEach((priority, rank) => {
        // 1 for the most urgent band, 0 for the least.
        const place = domain === "rank" ? 1 - rank / last : (priority - lowest) / (highest - lowest);
        out[rank] = last === 0 ? max : min + (max - min) * place;
      });
    },
  }),
});
