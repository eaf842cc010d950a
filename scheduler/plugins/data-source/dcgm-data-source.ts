import { bool, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { httpSource } from "./http-source.ts";

/** NVIDIA's exporter of GPU metrics. */
export const dcgmDataSource = definePlugin({
  type: "dcgm-data-source",
  kinds: ["data-source"],
  stability: "alpha",
  description: "Reads NVIDIA's exporter of GPU metrics.",
  limits: "not read: the attribute GPUUtilization is absent",
  parameters: object({
    ...httpSource({ scheme: "http", path: "/metrics", port: 9400, skip: true }),
    useNodeAddress: bool({ doc: "Whether the exporter listens on the node's address.", default: false }),
  }),
});
