import { MULTIMODAL_PARTS } from "../../framework/data.ts";
import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Encodes images, video and audio on other pods. */
export const alwaysDisaggMultimodalDecider = definePlugin({
  type: "always-disagg-multimodal-decider",
  kinds: ["decider"],
  stability: "beta",
  description: "Encodes on another pod whatever has an image, video or audio.",
  parameters: noParameters(),
  consumes: () => [{ key: MULTIMODAL_PARTS, producer: "token-producer" }],
  create: (_, context) => {
    const handle = context.data(MULTIMODAL_PARTS, "token-producer");
    return { decide: (cycle) => handle.of(cycle).parts.length > 0 };
  },
});
