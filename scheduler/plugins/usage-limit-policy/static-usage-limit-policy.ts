import { number, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** One limit for all bands. */
export const staticUsageLimitPolicy = definePlugin({
  type: "static-usage-limit-policy",
  kinds: ["usage-limit-policy"],
  stability: "beta",
  description: "Bands send requests while the pool's saturation is below one limit.",
  parameters: object({ threshold: number({ doc: "The limit.", default: 1, above: 0, max: 10 }) }),
  create: ({ threshold }) => ({ ceilings: (_saturation, _priorities, out) => void out.fill(threshold) }),
});
