import { headersHandler } from "./headers-handler.ts";

/** First name of `disagg-headers-handler`. */
export const prefillHeaderHandler = headersHandler("prefill-header-handler");
