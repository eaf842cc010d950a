import type { Alias } from "../../../telemetry/metrics.ts";
import type { PluginContext } from "../../framework/plugin.ts";

const LABELS = ["plugin_name", "plugin_type", "model_name", "target_model_name"];
const TWIN = ["model_name", "target_model_name"];
const MAX_SERIES = 1000;
const MS = 1000;

const TTFT = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 120, 180, 240,
  300, 360, 480, 600, 900, 1200, 1800, 2700, 3600,
];
const TPOT = [
  0.0005, 0.00205, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3,
  4.5, 6, 12, 18, 24, 30, 36, 48, 60, 90, 120, 180, 270, 360,
];
const ASKING = [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** The two latencies: until the first token, and for each further one. */
export type Kind = "ttft" | "tpot";

/** The models that a request is counted under. */
interface Models {
  readonly incomingModel: string;
  readonly targetModel: string;
}

/** What is measured of predictions. Times in ms. */
export interface LatencyMetrics {
  /** The chosen endpoint's prediction, and how long it took to get. */
  predicted(models: Models, kind: Kind, predictedMs: number, askedMs: number): void;
  /** What it was in the end, against the request's objective (0: none). */
  measured(models: Models, kind: Kind, actualMs: number, objectiveMs: number): void;
}

/** Registers the families of predictions, with the names of former releases beside those of today. */
export function createLatencyMetrics({ metrics, name }: PluginContext, type: string): LatencyMetrics {
  const twin = (old: string, ...more: readonly string[]): Alias[] => [
    { name: `inference_objective_${old}`, labels: [...TWIN, ...more] },
  ];
  const common = { labels: LABELS, maxSeries: MAX_SERIES };
  const last = metrics.gauge({
    name: "llm_d_epp_inference_request_metric",
    help: "[ALPHA] The newest latencies, predictions and violations, by type.",
    ...common,
    labels: [...LABELS, "type"],
    aliases: twin("inference_request_metric", "type"),
  });
  const histogram = (family: string, help: string, buckets: readonly number[]) =>
    metrics.histogram({
      name: `llm_d_epp_${family}`,
      help: `[ALPHA] ${help}`,
      ...common,
      buckets,
      aliases: twin(family),
    });
  const predictions = {
    ttft: histogram("request_predicted_ttft_seconds", "Predicted time to the first token.", TTFT),
    tpot: histogram("request_predicted_tpot_seconds", "Predicted time for each further token.", TPOT),
  };
  const durations = {
    ttft: histogram("request_ttft_prediction_duration_seconds", "Time to predict the first token.", ASKING),
    tpot: histogram("request_tpot_prediction_duration_seconds", "Time to predict further tokens.", ASKING),
  };
  const violations = metrics.counter({
    name: "llm_d_epp_request_slo_violation_total",
    help: "[ALPHA] Requests that missed an objective, by type.",
    ...common,
    labels: [...LABELS, "type"],
    aliases: twin("request_slo_violation_total", "type"),
  });
  const labelsOf = ({ incomingModel, targetModel }: Models): readonly string[] => [
    name,
    type,
    incomingModel,
    targetModel,
  ];
  return {
    predicted: (models, kind, predictedMs, askedMs) => {
      const labels = labelsOf(models);
      predictions[kind].labels(...labels).observe(predictedMs / MS);
      durations[kind].labels(...labels).observe(askedMs / MS);
      last.labels(...labels, `predicted_${kind}`).set(predictedMs / MS);
      last.labels(...labels, `${kind}_prediction_duration`).set(askedMs / MS);
    },
    measured: (models, kind, actualMs, objectiveMs) => {
      const labels = labelsOf(models);
      last.labels(...labels, kind).set(actualMs / MS);
      if (objectiveMs <= 0) return;
      const missed = actualMs > objectiveMs;
      last.labels(...labels, `${kind}_slo_violation`).set(missed ? 1 : 0);
      if (missed) violations.labels(...labels, kind).inc();
    },
  };
}
