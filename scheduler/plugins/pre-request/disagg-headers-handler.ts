import { headersHandler } from "./headers-handler.ts";

/** Header part of disaggregation, for configurations that name it apart from the handler. */
export const disaggHeadersHandler = headersHandler("disagg-headers-handler");
