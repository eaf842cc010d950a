import type { Counter, Family, Gauge, Histogram, MetricsRegistry } from "../telemetry/metrics.ts";

/** How a reconcile ended. */
export type ReconcileOutcome = "success" | "requeue_after" | "error" | "terminal";

/** What a work queue tells of itself; times in ms. */
export interface QueueMeter {
  /** A key was added, or taken: how many are ready now. */
  depth(keys: number): void;
  added(): void;
  /** A key was handed out that long after it became ready. */
  waited(ms: number): void;
  worked(ms: number): void;
  /** A key is added again after a back-off. */
  retried(): void;
  /** Asks, before each exposition, since when each key is being worked on. */
  onCollect(unfinishedMs: () => readonly number[]): void;
}

/** Metrics of one controller. */
export interface ControllerMeter {
  readonly queue: QueueMeter;
  /** A reconcile begins; the returned function ends it. */
  begin(): (outcome: ReconcileOutcome, ms: number) => void;
}

/** Metrics under the names of controller-runtime and client-go, so that dashboards made for them go on working. */
export interface ControllerMetrics {
  /** Those of the controller of that name, which works on so many keys at once. */
  of(controller: string, workers: number): ControllerMeter;
}

/** Bounds of controller-runtime, in seconds. */
const RECONCILE_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
const QUEUE_BUCKETS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000];
const OUTCOMES: readonly ReconcileOutcome[] = ["success", "requeue_after", "error"];

interface Families {
  readonly results: Family<Counter>;
  readonly errors: Family<Counter>;
  readonly terminal: Family<Counter>;
  readonly seconds: Family<Histogram>;
  readonly maximum: Family<Gauge>;
  readonly active: Family<Gauge>;
}

function reconcileFamilies(registry: MetricsRegistry): Families {
  const labels = ["controller"];
  const prefix = "controller_runtime";
  return {
    results: registry.counter({
      name: `${prefix}_reconcile_total`,
      help: "Total number of reconciliations per controller",
      labels: [...labels, "result"],
    }),
    errors: registry.counter({
      name: `${prefix}_reconcile_errors_total`,
      help: "Total number of reconciliation errors per controller",
      labels,
    }),
    terminal: registry.counter({
      name: `${prefix}_terminal_reconcile_errors_total`,
      help: "Total number of terminal reconciliation errors per controller",
      labels,
    }),
    seconds: registry.histogram({
      name: `${prefix}_reconcile_time_seconds`,
      help: "Length of time per reconciliation per controller",
      labels,
      buckets: RECONCILE_BUCKETS,
    }),
    maximum: registry.gauge({
      name: `${prefix}_max_concurrent_reconciles`,
      help: "Maximum number of concurrent reconciles per controller",
      labels,
    }),
    active: registry.gauge({
      name: `${prefix}_active_workers`,
      help: "Number of currently used workers per controller",
      labels,
    }),
  };
}

/** Declares the metrics of all work queues of a process. */
function queueMeters(registry: MetricsRegistry): (controller: string) => QueueMeter {
  const labels = ["name", "controller"];
  const gauge = (name: string, help: string) => registry.gauge({ name: `workqueue_${name}`, help, labels });
  const counter = (name: string, help: string) => registry.counter({ name: `workqueue_${name}`, help, labels });
  const histogram = (name: string, help: string) =>
    registry.histogram({ name: `workqueue_${name}`, help, labels, buckets: QUEUE_BUCKETS });
  const depth = gauge("depth", "Current depth of workqueue");
  const adds = counter("adds_total", "Total number of adds handled by workqueue");
  const waits = histogram("queue_duration_seconds", "How long in seconds an item stays in workqueue before requested");
  const works = histogram("work_duration_seconds", "How long in seconds processing an item from workqueue takes");
  const retries = counter("retries_total", "Total number of retries handled by workqueue");
  const unfinished = gauge(
    "unfinished_work_seconds",
    "Seconds of work in progress that work_duration does not hold yet",
  );
  const longest = gauge("longest_running_processor_seconds", "Seconds that the longest running processor has worked");
  return (controller) => {
    const own = [controller, controller] as const;
    retries.labels(...own).inc(0);
    return {
      depth: (keys) => depth.labels(...own).set(keys),
      added: () => adds.labels(...own).inc(),
      waited: (ms) => waits.labels(...own).observe(ms / 1000),
      worked: (ms) => works.labels(...own).observe(ms / 1000),
      retried: () => retries.labels(...own).inc(),
      onCollect: (unfinishedMs) =>
        registry.onCollect(() => {
          const times = unfinishedMs();
          unfinished.labels(...own).set(times.reduce((sum, ms) => sum + ms, 0) / 1000);
          longest.labels(...own).set(Math.max(0, ...times) / 1000);
        }),
    };
  };
}

/** Declares the metrics of all controllers of a process. */
export function createControllerMetrics(registry: MetricsRegistry): ControllerMetrics {
  const families = reconcileFamilies(registry);
  const queueOf = queueMeters(registry);
  const known = new Map<string, ControllerMeter>();
  const create = (controller: string): ControllerMeter => {
    for (const outcome of OUTCOMES) families.results.labels(controller, outcome).inc(0);
    for (const family of [families.errors, families.terminal]) family.labels(controller).inc(0);
    const active = families.active.labels(controller);
    return {
      queue: queueOf(controller),
      begin: () => {
        active.inc();
        return (outcome, ms) => {
          active.dec();
          // A terminal failure counts as an error, too, as controller-runtime counts it.
          families.results.labels(controller, outcome === "terminal" ? "error" : outcome).inc();
          if (outcome === "error" || outcome === "terminal") families.errors.labels(controller).inc();
          if (outcome === "terminal") families.terminal.labels(controller).inc();
          families.seconds.labels(controller).observe(ms / 1000);
        };
      },
    };
  };
  return {
    of: (controller, workers) => {
      const meter = known.get(controller) ?? create(controller);
      known.set(controller, meter);
      families.maximum.labels(controller).set(workers);
      return meter;
    },
  };
}
