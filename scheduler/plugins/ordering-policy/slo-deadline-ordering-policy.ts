import { sloOf } from "../latency-objectives.ts";
import { orderingPolicy } from "./ordering.ts";

/** Earliest deadline of the first token first; without an objective the time to live counts. */
export const sloDeadlineOrderingPolicy = orderingPolicy(
  "slo-deadline-ordering-policy",
  "Earliest deadline of the first token first; requests without that objective by their time to live.",
  ({ headers, receivedAtMs, ttlMs }) => {
    const wait = sloOf(headers, "ttft") || ttlMs;
    return wait > 0 ? receivedAtMs + wait : Infinity;
  },
);
