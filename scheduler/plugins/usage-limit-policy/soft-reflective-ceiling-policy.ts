import { object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Less urgent bands are let through now and then while the pool fills up. */
export const softReflectiveCeilingPolicy = definePlugin({
  type: "soft-reflective-ceiling-policy",
  kinds: ["usage-limit-policy"],
  stability: "alpha",
  description: "Less urgent bands are let through ever more rarely while the pool fills up.",
  handledBy: "flow control",
  parameters: object({}),
});
