import type { Counter, Histogram, MetricsRegistry } from "../../telemetry/metrics.ts";
import type { ChosenEndpoint } from "../request/types.ts";
import { labelBudgetsOf } from "./label-budget.ts";

/** Bounds in seconds of work that takes micro- to milliseconds. */
const SHORT = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];
/** Children that are kept at hand. */
const MAX_KEPT = 4096;

/** The metrics of decisions. */
export interface SchedulingMetrics {
  /** Seconds that profiles took for one request. */
  readonly duration: Histogram;
  /** Profiles were run for a request of this model; `endpoint` is the first target, undefined where none was found. */
  attempted(targetModel: string, endpoint: ChosenEndpoint | undefined): void;
  /** Seconds of one plugin at one extension point. */
  plugin(extensionPoint: string, type: string, name: string): Histogram;
}

const known = new WeakMap<MetricsRegistry, SchedulingMetrics>();

/** The families of decisions; those of a registry are made once, however many pipelines use them. */
export function schedulingMetricsOf(registry: MetricsRegistry): SchedulingMetrics {
  const metrics = known.get(registry) ?? createSchedulingMetrics(registry);
  known.set(registry, metrics);
  return metrics;
}

function createSchedulingMetrics(registry: MetricsRegistry): SchedulingMetrics {
  const duration = registry.histogram({
    name: "llm_d_epp_scheduler_e2e_duration_seconds",
    help: "[ALPHA] Time that scheduling profiles took for a request.",
    buckets: SHORT,
    aliases: [
      { name: "inference_extension_scheduler_e2e_duration_seconds" },
      { name: "endpoint_picker_scheduling_duration_seconds", help: "Time that profiles took for a request." },
    ],
  });
  const attempts = registry.counter({
    name: "llm_d_epp_scheduler_attempts_total",
    help: "[ALPHA] Requests for which profiles were run, by outcome and endpoint.",
    labels: ["status", "target_model_name", "endpoint_name", "namespace", "port"],
    aliases: [
      {
        name: "inference_extension_scheduler_attempts_total",
        labels: ["status", "target_model_name", { from: "endpoint_name", to: "pod_name" }, "namespace", "port"],
      },
    ],
  });
  const plugins = registry.histogram({
    name: "llm_d_epp_plugin_duration_seconds",
    help: "[ALPHA] Time that a plugin took at an extension point.",
    labels: ["extension_point", "plugin_type", "plugin_name"],
    buckets: SHORT,
    aliases: [{ name: "inference_extension_plugin_duration_seconds" }],
  });
  registry
    .gauge({
      name: "llm_d_epp_info",
      help: "[ALPHA] The build that runs.",
      labels: ["commit", "build_ref"],
      aliases: [{ name: "inference_extension_info" }],
    })
    .labels(process.env.BUILD_COMMIT ?? "unknown", process.env.BUILD_REF ?? "unknown")
    .set(1);
  const { models } = labelBudgetsOf(registry);
  const kept = new Map<string, Map<string, Counter>>();
  let count = 0;
  const success = (model: string, { address, podName, namespace, port }: ChosenEndpoint): Counter => {
    let byEndpoint = kept.get(model);
    if (byEndpoint === undefined) kept.set(model, (byEndpoint = new Map()));
    let child = byEndpoint.get(address);
    if (child === undefined) {
      if (++count > MAX_KEPT) {
        kept.clear();
        count = 0;
      }
      child = attempts.labels("success", model, podName, namespace, String(port));
      byEndpoint.set(address, child);
    }
    return child;
  };
  return {
    duration: duration.labels(),
    attempted: (targetModel, endpoint) => {
      const model = models.admit(targetModel);
      if (endpoint === undefined) attempts.labels("failure", model, "", "", "").inc();
      else success(model, endpoint).inc();
    },
    plugin: (extensionPoint, type, name) => plugins.labels(extensionPoint, type, name),
  };
}
