import type { ServerResponse } from "node:http";
import type { Counter, Family, Gauge, Histogram, MetricsRegistry } from "../../telemetry/metrics.ts";

/** Metrics of the webhooks, by path. */
export interface WebhookMetrics {
  readonly requests: Family<Counter>;
  readonly seconds: Family<Histogram>;
  readonly inFlight: Family<Gauge>;
}

/** Bounds in seconds: reviews take milliseconds, and API servers wait for ten seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** A handful of paths, each with a handful of codes. */
const MAX_SERIES = 50;

/** Declares the metrics of webhooks, under controller-runtime's names. */
export function createWebhookMetrics(registry: MetricsRegistry): WebhookMetrics {
  const prefix = "controller_runtime_webhook";
  const common = { labels: ["webhook"], maxSeries: MAX_SERIES };
  return {
    requests: registry.counter({
      name: `${prefix}_requests_total`,
      help: "Total number of admission requests by HTTP status code.",
      labels: ["webhook", "code"],
      maxSeries: MAX_SERIES,
    }),
    seconds: registry.histogram({
      name: `${prefix}_latency_seconds`,
      help: "Histogram of the latency of processing admission requests",
      buckets: BUCKETS,
      ...common,
    }),
    inFlight: registry.gauge({
      name: `${prefix}_requests_in_flight`,
      help: "Current number of admission requests being served.",
      ...common,
    }),
  };
}

/** Counts a request to a webhook until its response is out. */
export function meter(metrics: WebhookMetrics, webhook: string, response: ServerResponse): void {
  const startedAt = performance.now();
  metrics.inFlight.labels(webhook).inc();
  response.once("close", () => {
    metrics.inFlight.labels(webhook).dec();
    metrics.requests.labels(webhook, String(response.statusCode)).inc();
    metrics.seconds.labels(webhook).observe((performance.now() - startedAt) / 1000);
  });
}
