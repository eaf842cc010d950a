import { noParameters } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";

/** A reader of request bodies; the request parsers do its work. */
export function parserType(type: string, description: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["parser"],
    stability: "beta",
    description,
    parameters: noParameters(),
    handledBy: "the request parsers",
  });
}
