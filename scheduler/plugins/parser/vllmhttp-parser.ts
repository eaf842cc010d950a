import { parserType } from "./parser.ts";

/** Reads generate requests of vLLM. */
export const vllmhttpParser = parserType("vllmhttp-parser", "Reads generate requests of vLLM.");
