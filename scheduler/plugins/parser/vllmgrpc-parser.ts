import { parserType } from "./parser.ts";

/** Reads gRPC requests of vLLM. */
export const vllmgrpcParser = parserType("vllmgrpc-parser", "Reads gRPC requests of vLLM.");
