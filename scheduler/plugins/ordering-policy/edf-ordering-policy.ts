import { orderingPolicy } from "./ordering.ts";

/** Earliest deadline first: arrival and time to live. */
export const edfOrderingPolicy = orderingPolicy(
  "edf-ordering-policy",
  "Earliest deadline first: arrival and time to live.",
  ({ enqueuedAtMs, ttlMs }) => (ttlMs > 0 ? enqueuedAtMs + ttlMs : Infinity),
);
