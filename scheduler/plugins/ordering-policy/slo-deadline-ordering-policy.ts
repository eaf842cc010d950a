import { orderingPolicy } from "./ordering.ts";

/** Earliest deadline of the first token first. */
export const sloDeadlineOrderingPolicy = orderingPolicy(
  "slo-deadline-ordering-policy",
  "Earliest deadline of the first token first.",
);
