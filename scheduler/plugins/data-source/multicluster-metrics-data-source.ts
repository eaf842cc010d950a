import { definePlugin } from "../../framework/plugin.ts";
import { metricsSource } from "./http-source.ts";

/** Metrics pages of other clusters' schedulers. */
export const multiclusterMetricsDataSource = definePlugin({
  type: "multicluster-metrics-data-source",
  kinds: ["data-source"],
  stability: "alpha",
  description: "Reads the metrics pages of other clusters' schedulers.",
  handledBy: "the metrics scraper",
  parameters: metricsSource({ scheme: "https", path: "/metrics", port: 0, skip: false }),
});
