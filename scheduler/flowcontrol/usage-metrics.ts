import type { MetricsRegistry } from "../../telemetry/metrics.ts";
import type { FlowUsage } from "./controller.ts";

/** Priorities that have series of their own. */
const MAX_BANDS = 100;

/** Registers gauges of how full the queues are, read when the page is made. `usage` is undefined while flow control is off. */
export function registerUsageMetrics(
  registry: MetricsRegistry,
  poolName: string,
  usage: () => FlowUsage | undefined,
): void {
  const gauge = (name: string, help: string, labels: readonly string[]) =>
    registry.gauge({ name: `llm_d_epp_flow_control_${name}`, help: `[ALPHA] ${help}`, labels, maxSeries: MAX_BANDS });
  const band = ["priority", "inference_pool"];
  const requests = gauge("capacity_utilization_requests", "Share of a band's places that are taken.", band);
  const bytes = gauge("capacity_utilization_bytes", "Share of a band's bytes that are taken.", band);
  const pool = ["inference_pool"];
  const allRequests = gauge("global_capacity_utilization_requests", "Share of all places that are taken.", pool);
  const allBytes = gauge("global_capacity_utilization_bytes", "Share of all bytes that are taken.", pool);
  let shown: readonly number[] = [];
  registry.onCollect(() => {
    const found = usage();
    const bands = found?.bands ?? [];
    for (const priority of shown) for (const family of [requests, bytes]) family.remove(String(priority), poolName);
    for (const { priority, ...shares } of bands) {
      requests.labels(String(priority), poolName).set(shares.requests);
      bytes.labels(String(priority), poolName).set(shares.bytes);
    }
    shown = bands.map(({ priority }) => priority);
    if (found?.requests !== undefined) allRequests.labels(poolName).set(found.requests);
    if (found?.bytes !== undefined) allBytes.labels(poolName).set(found.bytes);
  });
}
