import { bool, object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Endpoints listed in a file. */
export const fileDiscovery = definePlugin({
  type: "file-discovery",
  kinds: ["discovery"],
  stability: "beta",
  description: "Takes the endpoints from a file instead of from Kubernetes.",
  handledBy: "the endpoint store",
  parameters: object({
    path: required(text({ doc: "The file.", default: "", nonEmpty: true })),
    watchFile: bool({ doc: "Whether changes of the file are followed.", default: false }),
  }),
});
