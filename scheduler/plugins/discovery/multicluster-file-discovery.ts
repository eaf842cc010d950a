import { bool, object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Clusters listed in a file. */
export const multiclusterFileDiscovery = definePlugin({
  type: "multicluster-file-discovery",
  kinds: ["discovery"],
  stability: "alpha",
  description: "Takes clusters as endpoints from a file.",
  handledBy: "the endpoint store",
  parameters: object({
    path: required(text({ doc: "The file.", default: "", nonEmpty: true })),
    watchFile: bool({ doc: "Whether changes of the file are followed.", default: false }),
  }),
});
