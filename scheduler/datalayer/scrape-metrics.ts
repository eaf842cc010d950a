import type { MetricsRegistry } from "../../telemetry/metrics.ts";
import type { ScrapeFault } from "./scrape-error.ts";

/** What the scraper counts. */
export interface ScrapeMetrics {
  /** A page of so many bytes was read. */
  succeeded(durationMs: number, bytes: number): void;
  failed(fault: ScrapeFault): void;
  /** A page lacked metrics of its engine. */
  missing(): void;
}

const SOURCE = "metrics-data-source";
const EXTRACTOR = "core-metrics-extractor";
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** Registers the scraper's families, with the names of the llm-d endpoint picker beside ours. */
export function createScrapeMetrics(registry: MetricsRegistry): ScrapeMetrics {
  const twin = (name: string): { readonly name: string }[] => [{ name: `llm_d_inference_scheduler_${name}` }];
  const pollErrors = registry.counter({
    name: "llm_d_epp_datalayer_poll_errors_total",
    help: "[ALPHA] Metrics pages that could not be read.",
    labels: ["source_type"],
    aliases: twin("datalayer_poll_errors_total"),
  });
  const extractErrors = registry.counter({
    name: "llm_d_epp_datalayer_extract_errors_total",
    help: "[ALPHA] Metrics pages that lacked metrics of their engine.",
    labels: ["source_type", "extractor_type"],
    aliases: twin("datalayer_extract_errors_total"),
  });
  const scrapes = registry.counter({
    name: "endpoint_picker_scrapes_total",
    help: "Readings of metrics pages by outcome: ok, unreachable, timeout, status, too-large, not-metrics.",
    labels: ["outcome"],
  });
  const duration = registry.histogram({
    name: "endpoint_picker_scrape_duration_seconds",
    help: "Time to read one metrics page.",
    buckets: SECONDS,
  });
  const bytes = registry.counter({ name: "endpoint_picker_scrape_bytes_total", help: "Bytes of metrics pages." });
  const [ok, seconds, received] = [scrapes.labels("ok"), duration.labels(), bytes.labels()];
  const polls = pollErrors.labels(SOURCE);
  const extracts = extractErrors.labels(SOURCE, EXTRACTOR);
  return {
    succeeded: (durationMs, size) => {
      ok.inc();
      seconds.observe(durationMs / 1000);
      received.inc(size);
    },
    failed: (fault) => {
      scrapes.labels(fault).inc();
      polls.inc();
    },
    missing: () => extracts.inc(),
  };
}
