import { RequestError } from "../request/types.ts";

/** What became of a request in flow control; values of the metrics' label `outcome`. */
export type Outcome =
  | "Dispatched"
  | "RejectedCapacity"
  | "RejectedNoEndpoints"
  | "EvictedTTL"
  | "EvictedNoEndpoints"
  | "EvictedContextCancelled"
  | "EvictedOther";

const REFUSALS: Readonly<Record<Exclude<Outcome, "Dispatched">, () => RequestError>> = {
  RejectedCapacity: () =>
    new RequestError("ResourceExhausted", "request rejected pre-queue: queue at capacity", "rejected-saturated"),
  RejectedNoEndpoints: () =>
    new RequestError(
      "ServiceUnavailable",
      "no endpoints available: request rejected pre-queue: no endpoints available",
      "rejected-no-endpoints",
    ),
  EvictedTTL: () =>
    new RequestError(
      "ResourceExhausted",
      "request timed out in queue: request evicted from queue: request TTL expired",
      "rejected-ttl-expired",
    ),
  EvictedNoEndpoints: () =>
    new RequestError(
      "ServiceUnavailable",
      "request timed out in queue and no endpoints are available: " +
        "request evicted from queue: request TTL expired: no endpoints available",
      "rejected-no-endpoints",
    ),
  EvictedContextCancelled: () =>
    new RequestError(
      "ServiceUnavailable",
      "client disconnected: request evicted from queue: request context cancelled",
      "rejected-context-cancelled",
    ),
  EvictedOther: () =>
    new RequestError(
      "ServiceUnavailable",
      "flow controller shutting down: request evicted from queue: flow controller is not running",
      "rejected-shutting-down",
    ),
};

/** The refusal of a request that is not dispatched. */
export const refusalOf = (outcome: Exclude<Outcome, "Dispatched">): RequestError => REFUSALS[outcome]();
