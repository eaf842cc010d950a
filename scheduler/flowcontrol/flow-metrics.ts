import type { Histogram, MetricsRegistry, MetricSpec } from "../../telemetry/metrics.ts";
import { labelBudgetsOf } from "../metrics/label-budget.ts";
import type { Outcome } from "./outcome.ts";
import type { StageSaturation } from "./saturation.ts";

const QUEUE_SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const CYCLE_SECONDS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];
const FLOW = ["fairness_id", "priority"];
const MODELS = ["model_name", "target_model_name"];
const POOL = "inference_pool";

/** What a request is counted under. */
export interface FlowLabels {
  readonly fairnessId: string;
  readonly priority: number;
  readonly model: string;
  readonly targetModel: string;
}

/** Series of one request's labels. */
export interface FlowSeries {
  entered(bytes: number): void;
  left(bytes: number): void;
  /** `waitMs`: time in the queue. */
  ended(outcome: Outcome, waitMs: number): void;
}

/** The families of flow control. */
export interface FlowMetrics {
  series(labels: FlowLabels): FlowSeries;
  saturation(stages: StageSaturation): void;
  /** Seconds of one look at the queues. */
  readonly cycle: Histogram;
}

/** Registers the families, with the names of former releases beside those of today. */
export function createFlowMetrics(registry: MetricsRegistry, poolName: string): FlowMetrics {
  const spec = (name: string, help: string, labels: readonly string[], twin: boolean): MetricSpec => ({
    name: `llm_d_epp_flow_control_${name}`,
    help: `[ALPHA] ${help}`,
    labels,
    aliases: twin ? [{ name: `inference_extension_flow_control_${name}` }] : [],
  });
  const flow = [...FLOW, POOL, ...MODELS];
  const waits = registry.histogram({
    ...spec("request_queue_duration_seconds", "Time in the queue.", [...FLOW, "outcome", POOL, ...MODELS], true),
    buckets: QUEUE_SECONDS,
  });
  const size = registry.gauge(spec("queue_size", "Requests that wait.", flow, true));
  const bytes = registry.gauge(spec("queue_bytes", "Bytes of requests that wait.", flow, true));
  const total = registry.counter(
    spec("requests_total", "Requests by what became of them.", ["outcome", "priority", POOL], false),
  );
  const full = registry.gauge(spec("pool_saturation", "Saturation of the pool; 1 is full.", [POOL, "stage"], true));
  const cycles = registry.histogram({
    ...spec("dispatch_cycle_duration_seconds", "Time of one look at the queues.", [], true),
    buckets: CYCLE_SECONDS,
  });
  const { models, fairnessIds } = labelBudgetsOf(registry);
  return {
    cycle: cycles.labels(),
    series: ({ fairnessId, priority, model, targetModel }) => {
      const id = fairnessIds.admit(fairnessId);
      const rank = String(priority);
      const named = [models.admit(model), models.admit(targetModel)];
      const [sizes, volumes] = [size, bytes].map((family) => () => family.labels(id, rank, poolName, ...named));
      return {
        entered: (count) => {
          sizes?.().inc();
          volumes?.().inc(count);
        },
        left: (count) => {
          sizes?.().dec();
          volumes?.().dec(count);
        },
        ended: (outcome, waitMs) => {
          waits.labels(id, rank, outcome, poolName, ...named).observe(waitMs / 1000);
          total.labels(outcome, rank, poolName).inc();
        },
      };
    },
    saturation: ({ prefill, decode, effective }) => {
      full.labels(poolName, "effective").set(effective);
      for (const [stage, value] of [["prefill", prefill] as const, ["decode", decode] as const]) {
        if (value === undefined) full.remove(poolName, stage);
        else full.labels(poolName, stage).set(value);
      }
    },
  };
}
