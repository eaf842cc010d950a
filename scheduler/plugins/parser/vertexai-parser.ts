import { parserType } from "./parser.ts";

/** Reads prediction requests of Vertex AI. */
export const vertexaiParser = parserType("vertexai-parser", "Reads prediction requests of Vertex AI.");
