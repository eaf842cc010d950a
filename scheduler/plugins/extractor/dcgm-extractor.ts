import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** GPU utilization of each endpoint. */
export const dcgmExtractor = definePlugin({
  type: "dcgm-extractor",
  kinds: ["extractor"],
  stability: "alpha",
  description: "Takes the GPU utilization out of NVIDIA's metrics.",
  limits: "not read: the attribute GPUUtilization is absent",
  parameters: noParameters(),
});
