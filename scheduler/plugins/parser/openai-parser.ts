import { parserType } from "./parser.ts";

/** Reads requests of the OpenAI API. */
export const openaiParser = parserType("openai-parser", "Reads requests of the OpenAI API.");
