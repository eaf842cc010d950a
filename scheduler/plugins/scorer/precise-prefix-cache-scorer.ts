import { definePlugin } from "../../framework/plugin.ts";
import { NO_EVENTS, preciseParameters } from "../data-producer/precise-parameters.ts";

/** Former scorer and index in one. */
export const precisePrefixCacheScorer = definePlugin({
  type: "precise-prefix-cache-scorer",
  kinds: ["scorer", "data-producer", "pre-request", "extractor"],
  stability: "beta",
  deprecated: "precise-prefix-cache-producer and prefix-cache-scorer",
  description: "Prefers endpoints that have cached the prompt's prefix, as the engines' events tell.",
  limits: NO_EVENTS,
  parameters: preciseParameters,
  create: () => ({ score: () => undefined }),
});
