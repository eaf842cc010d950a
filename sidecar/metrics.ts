import type { Counter, Family, Histogram, MetricsRegistry } from "../telemetry/metrics.ts";
import type { Api } from "./body/api.ts";
import type { Account, Outcome } from "./exchange.ts";

/** From a cached prompt to a very long one, seconds. */
const STAGE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** Metrics of the sidecar. */
export interface SidecarMetrics {
  record(api: Api | undefined, account: Account): void;
}

/** Declares them. All labels have few values. */
export function createSidecarMetrics(registry: MetricsRegistry): SidecarMetrics {
  const requests: Family<Counter> = registry.counter({
    name: "routing_sidecar_requests_total",
    help: "Requests by API and by what became of them.",
    labels: ["api", "outcome"],
  });
  const stages: Family<Histogram> = registry.histogram({
    name: "routing_sidecar_stage_duration_seconds",
    help: "Time of a stage of divided requests: prefill to its end, decode to the headers of its answer.",
    labels: ["stage"],
    buckets: STAGE_BUCKETS,
  });
  const [prefill, decode] = [stages.labels("prefill"), stages.labels("decode")];
  const known = new Map<string, Counter>();
  const counterOf = (api: Api | "other", outcome: Outcome): Counter => {
    const key = `${api} ${outcome}`;
    const counter = known.get(key) ?? requests.labels(api, outcome);
    known.set(key, counter);
    return counter;
  };
  return {
    record: (api, { outcome, prefillMs, decodeMs }) => {
      counterOf(api ?? "other", outcome).inc();
      if (prefillMs !== undefined) prefill.observe(prefillMs / 1000);
      if (decodeMs !== undefined) decode.observe(decodeMs / 1000);
    },
  };
}
