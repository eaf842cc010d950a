import { definePlugin } from "../../framework/plugin.ts";
import { metricsSource } from "./http-source.ts";

/** The engines' metrics pages. */
export const metricsDataSource = definePlugin({
  type: "metrics-data-source",
  kinds: ["data-source"],
  stability: "beta",
  description: "Reads the engines' metrics pages.",
  handledBy: "the metrics scraper",
  parameters: metricsSource({ scheme: "http", path: "/metrics", port: 0, skip: true }),
});
