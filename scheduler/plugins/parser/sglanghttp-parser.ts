import { parserType } from "./parser.ts";

/** Reads generate requests of SGLang. */
export const sglanghttpParser = parserType("sglanghttp-parser", "Reads generate requests of SGLang.");
