import { parserType } from "./parser.ts";

/** Reads messages of the Anthropic API. */
export const anthropicParser = parserType("anthropic-parser", "Reads messages of the Anthropic API.");
