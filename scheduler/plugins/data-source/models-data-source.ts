import { object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { httpSource } from "./http-source.ts";

/** The engines' lists of models. */
export const modelsDataSource = definePlugin({
  type: "models-data-source",
  kinds: ["data-source"],
  stability: "beta",
  description: "Reads the engines' lists of models.",
  limits: "not read: no plugin of this scheduler uses the lists",
  parameters: object(httpSource({ scheme: "http", path: "/v1/models", port: 0, skip: true })),
});
