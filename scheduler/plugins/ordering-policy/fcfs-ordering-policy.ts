import { orderingPolicy } from "./ordering.ts";

/** First come, first served. */
export const fcfsOrderingPolicy = orderingPolicy(
  "fcfs-ordering-policy",
  "First come, first served.",
  ({ enqueuedAtMs }) => enqueuedAtMs,
);
