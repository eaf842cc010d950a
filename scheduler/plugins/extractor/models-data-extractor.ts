import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Models that each engine serves. */
export const modelsDataExtractor = definePlugin({
  type: "models-data-extractor",
  kinds: ["extractor"],
  stability: "beta",
  description: "Takes the models out of the engines' lists.",
  limits: "not used: no plugin of this scheduler reads them",
  parameters: noParameters(),
});
