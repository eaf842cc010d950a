import { approxPrefixProducer } from "./approx-prefix.ts";

/** Predicts which prompt prefixes each endpoint has cached, from the requests that were sent to it. */
export const approxPrefixCacheProducer = approxPrefixProducer("approx-prefix-cache-producer", "beta");
