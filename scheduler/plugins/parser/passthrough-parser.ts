import { parserType } from "./parser.ts";

/** Takes any body unread. */
export const passthroughParser = parserType("passthrough-parser", "Takes any body unread.");
