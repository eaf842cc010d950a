import type { EndpointStore } from "../datalayer/endpoint-store.ts";
import type { Family, Gauge, MetricsRegistry } from "../../telemetry/metrics.ts";

/** What the fleet's families show. */
export interface FleetMetricsOptions {
  readonly registry: MetricsRegistry;
  readonly store: EndpointStore;
  /** Name of the pool, the label `name`. */
  readonly poolName: string;
  /** Age up to which an endpoint's values count as fresh, in ms. */
  readonly stalenessMs: number;
  /** Monotonic ms. */
  readonly now: () => number;
}

const ENDPOINT = ["name", "namespace", "pod", "port"];
/** Series of one endpoint; fleets beyond share the series `other`. */
const MAX_ENDPOINTS = 10_000;

/**
 * Registers the families of pool and endpoints: those of the llm-d endpoint picker with their old twins, and
 * `endpoint_picker_*` of each endpoint. They are filled when the page is made, and series of endpoints that are gone are dropped.
 */
export function registerFleetMetrics(options: FleetMetricsOptions): void {
  const { registry, poolName } = options;
  const pool = poolFamilies(registry);
  const endpoints = endpointFamilies(registry);
  let shown = new Map<string, readonly string[]>();
  registry.onCollect(() => {
    const fleet = measure(options);
    pool.ready.labels(poolName).set(fleet.fresh);
    pool.stale.labels(poolName).set(fleet.total - fleet.fresh);
    if (fleet.fresh > 0)
      for (const [index, statistic] of fleet.statistics.entries()) {
        pool.average[index]?.labels(poolName).set(rounded(statistic.mean));
        pool.deviation[index]?.labels(poolName).set(rounded(statistic.deviation));
      }
    const current = showEndpoints(options, endpoints);
    for (const [key, labels] of shown) if (!current.has(key)) forget(endpoints, labels);
    shown = current;
  });
}

/** Mean and sample deviation of one column over the fresh endpoints. */
interface Statistic {
  readonly mean: number;
  readonly deviation: number;
}

interface Fleet {
  readonly total: number;
  readonly fresh: number;
  /** Of KV-cache usage, queue and running requests, in this order. */
  readonly statistics: readonly Statistic[];
}

function measure({ store, now, stalenessMs }: FleetMetricsOptions): Fleet {
  const since = now() - stalenessMs;
  const fresh = [...store.slots()].filter((slot) => isFresh(store, slot, since));
  const columns = [store.kvUsage, store.waiting, store.running];
  return {
    total: store.size,
    fresh: fresh.length,
    statistics: columns.map((column) => statisticOf(fresh.map((slot) => column[slot] ?? 0))),
  };
}

function isFresh({ updatedAtMs }: EndpointStore, slot: number, since: number): boolean {
  const at = updatedAtMs[slot] ?? 0;
  return at !== 0 && at >= since;
}

/** Mean and sample standard deviation (n − 1); a single value deviates by 0. */
function statisticOf(values: readonly number[]): Statistic {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) };
}

const rounded = (value: number): number => Math.round(value * 100) / 100;

interface PoolFamilies {
  readonly ready: Family<Gauge>;
  readonly stale: Family<Gauge>;
  readonly average: readonly Family<Gauge>[];
  readonly deviation: readonly Family<Gauge>[];
}

function poolFamilies(registry: MetricsRegistry): PoolFamilies {
  const labels = ["name"];
  const gauge = (name: string, help: string, old?: string): Family<Gauge> =>
    registry.gauge({
      name: `llm_d_epp_${name}`,
      help: `[ALPHA] ${help}`,
      labels,
      aliases: old === undefined ? [] : [{ name: `inference_pool_${old}` }],
    });
  const stale = {
    name: "endpoint_picker_stale_endpoints",
    help: "Endpoints whose metrics are stale or were never read.",
  };
  return {
    ready: gauge("ready_endpoints", "Endpoints of the pool whose metrics are fresh.", "ready_pods"),
    stale: registry.gauge({ ...stale, labels }),
    average: [
      gauge(
        "average_kv_cache_utilization",
        "Mean KV-cache utilization of fresh endpoints.",
        "average_kv_cache_utilization",
      ),
      gauge("average_queue_size", "Mean queue of fresh endpoints.", "average_queue_size"),
      gauge("average_running_requests", "Mean running requests of fresh endpoints.", "average_running_requests"),
    ],
    deviation: [
      gauge("std_dev_kv_cache_utilization", "Sample standard deviation of KV-cache utilization."),
      gauge("std_dev_queue_size", "Sample standard deviation of queues."),
      gauge("std_dev_running_requests", "Sample standard deviation of running requests."),
    ],
  };
}

interface EndpointFamilies {
  readonly queue: Family<Gauge>;
  readonly waiting: Family<Gauge>;
  readonly running: Family<Gauge>;
  readonly kvUsage: Family<Gauge>;
  readonly age: Family<Gauge>;
}

function endpointFamilies(registry: MetricsRegistry): EndpointFamilies {
  const own = (name: string, help: string): Family<Gauge> =>
    registry.gauge({ name: `endpoint_picker_endpoint_${name}`, help, labels: ENDPOINT, maxSeries: MAX_ENDPOINTS });
  return {
    queue: registry.gauge({
      name: "llm_d_epp_per_endpoint_queue_size",
      help: "[ALPHA] Waiting requests of each endpoint.",
      labels: ["name", "model_server_endpoint"],
      maxSeries: MAX_ENDPOINTS,
      aliases: [
        {
          name: "inference_pool_per_pod_queue_size",
          labels: ["name", { from: "model_server_endpoint", to: "model_server_pod" }],
        },
      ],
    }),
    waiting: own("waiting_requests", "Waiting requests of an endpoint."),
    running: own("running_requests", "Running requests of an endpoint."),
    kvUsage: own("kv_cache_usage", "KV-cache usage of an endpoint, 0 to 1."),
    age: own("metrics_age_seconds", "Age of an endpoint's metrics; -1: never read."),
  };
}

function showEndpoints(
  { store, poolName, now }: FleetMetricsOptions,
  families: EndpointFamilies,
): Map<string, readonly string[]> {
  const shown = new Map<string, readonly string[]>();
  for (const slot of store.slots()) {
    const { namespace, podName, port, name } = store.metadata(slot);
    const labels = [poolName, namespace, podName, String(port), name];
    const own = labels.slice(0, ENDPOINT.length);
    const at = store.updatedAtMs[slot] ?? 0;
    shown.set(labels.join("\n"), labels);
    families.queue.labels(poolName, name).set(store.waiting[slot] ?? 0);
    families.waiting.labels(...own).set(store.waiting[slot] ?? 0);
    families.running.labels(...own).set(store.running[slot] ?? 0);
    families.kvUsage.labels(...own).set(store.kvUsage[slot] ?? 0);
    families.age.labels(...own).set(at === 0 ? -1 : (now() - at) / 1000);
  }
  return shown;
}

function forget({ queue, ...own }: EndpointFamilies, labels: readonly string[]): void {
  queue.remove(labels[0] ?? "", labels[ENDPOINT.length] ?? "");
  for (const family of Object.values(own)) family.remove(...labels.slice(0, ENDPOINT.length));
}
