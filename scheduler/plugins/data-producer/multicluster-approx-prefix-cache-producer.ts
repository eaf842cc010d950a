import { approxPrefixProducer } from "./approx-prefix.ts";

/** `approx-prefix-cache-producer` for endpoints that are clusters. */
export const multiclusterApproxPrefixCacheProducer = approxPrefixProducer(
  "multicluster-approx-prefix-cache-producer",
  "alpha",
);
