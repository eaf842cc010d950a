import { type Logger, VERBOSITY } from "../../telemetry/log.ts";
import type { Discovery } from "./discovery.ts";
import type { EndpointStore } from "./endpoint-store.ts";

/** What periodic log lines about the fleet are made from. */
export interface FleetReports {
  readonly store: EndpointStore;
  readonly pool: Discovery;
  readonly stalenessMs: number;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly logger: Logger;
  readonly everyMs: number;
}

/** Logs the state of the fleet every now and then until the returned function is called. */
export function startFleetReports({ store, pool, stalenessMs, now, logger, everyMs }: FleetReports): () => void {
  const report = (): void => {
    if (!pool.known()) return logger.v(VERBOSITY.default, "Pool is not initialized, skipping refreshing metrics");
    if (!logger.enabled(VERBOSITY.trace)) return;
    const all = endpointsPage(store, now());
    const isFresh = ({ ageMs }: EndpointView): boolean => ageMs !== null && ageMs <= stalenessMs;
    const fields = { fresh: all.filter(isFresh), stale: all.filter((endpoint) => !isFresh(endpoint)) };
    logger.v(VERBOSITY.trace, "Current Pods and metrics gathered", fields);
  };
  const timer = setInterval(report, everyMs).unref();
  return () => clearInterval(timer);
}

/** An endpoint as the debug page shows it. */
export interface EndpointView {
  readonly namespace: string;
  readonly pod: string;
  readonly name: string;
  readonly address: string;
  readonly rank: number;
  readonly metricsAddress: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Age of the values below in ms; null: never read, and load is the pool's mean at its arrival. */
  readonly ageMs: number | null;
  readonly waiting: number;
  readonly running: number;
  readonly kvUsage: number;
  readonly cacheBlockSize: number;
  readonly cacheNumBlocks: number;
  readonly maxActiveModels: number;
  readonly activeModels: readonly string[];
  readonly waitingModels: readonly string[];
  readonly attributes: Readonly<Record<string, number>>;
  /** Requests that this process sent there. */
  readonly picks: number;
}

/** All endpoints with their values. */
export function endpointsPage(store: EndpointStore, nowMs: number): readonly EndpointView[] {
  return Array.from(store.slots(), (slot) => {
    const { namespace, podName, name, hostPort, rank, metricsHost, nodeAddress, labels } = store.metadata(slot);
    const at = store.updatedAtMs[slot] ?? 0;
    return {
      namespace,
      pod: podName,
      name,
      address: hostPort,
      rank,
      metricsAddress: metricsHost,
      node: nodeAddress,
      labels,
      ageMs: at === 0 ? null : Math.round(nowMs - at),
      waiting: store.waiting[slot] ?? 0,
      running: store.running[slot] ?? 0,
      kvUsage: store.kvUsage[slot] ?? 0,
      cacheBlockSize: store.cacheBlockSize[slot] ?? 0,
      cacheNumBlocks: store.cacheNumBlocks[slot] ?? 0,
      maxActiveModels: store.maxActiveModels[slot] ?? 0,
      activeModels: [...store.activeModels(slot)],
      waitingModels: [...store.waitingModels(slot)],
      attributes: Object.fromEntries(store.attributes(slot)),
      picks: store.picks[slot] ?? 0,
    };
  });
}
