import type { Cycle } from "../../framework/cycle.ts";
import { durationMs, integer, number, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { keep } from "../filter/keeping.ts";
import { meanOf } from "./mean.ts";

const STALE_AFTER_MS = 200;
const STALE_AFTER_READINGS = 4;

/** Saturation from the engines' queues and KV caches. As a filter it keeps endpoints that have room. */
export const utilizationDetector = definePlugin({
  type: "utilization-detector",
  kinds: ["saturation-detector", "filter"],
  stability: "beta",
  description: "Saturation from queues and KV caches; as a filter it keeps endpoints with room, or all.",
  parameters: object(
    {
      queueDepthThreshold: integer({ doc: "Waiting requests at which an endpoint is full.", default: 5, min: 1 }),
      kvCacheUtilThreshold: number({ doc: "KV cache usage at which it is full.", default: 0.8, above: 0, max: 1 }),
      metricsStalenessThreshold: durationMs({
        doc: "Age from which metrics count as full; absent: 200ms, or four readings where these are further apart.",
        default: undefined,
        above: 0,
      }),
      headroom: number({ doc: "Share by which the filter goes beyond the thresholds.", default: 0, min: 0 }),
    },
    {
      check: ({ headroom }, path, report) => {
        if (headroom > 1)
          report.warn(`${path}.headroom: ${headroom} lets endpoints through at more than twice the thresholds`);
      },
    },
  ),
  create: (
    { queueDepthThreshold, kvCacheUtilThreshold, metricsStalenessThreshold, headroom },
    { metricsIntervalMs },
  ) => {
    const staleAfterMs =
      metricsStalenessThreshold ?? Math.max(STALE_AFTER_MS, STALE_AFTER_READINGS * metricsIntervalMs);
    const isStale = ({ endpoints, nowMs }: Cycle, slot: number): boolean => {
      const updatedAtMs = endpoints.updatedAtMs[slot] ?? 0;
      return updatedAtMs === 0 || nowMs - updatedAtMs > staleAfterMs;
    };
    const hasRoom = (cycle: Cycle, slot: number): boolean =>
      !isStale(cycle, slot) &&
      (cycle.endpoints.waiting[slot] ?? 0) < queueDepthThreshold * (1 + headroom) &&
      (cycle.endpoints.kvUsage[slot] ?? 0) < kvCacheUtilThreshold * (1 + headroom);
    const fillOf = (cycle: Cycle, slot: number): number => {
      if (isStale(cycle, slot)) return 1;
      const queue = (cycle.endpoints.waiting[slot] ?? 0) / queueDepthThreshold;
      return Math.max(queue, (cycle.endpoints.kvUsage[slot] ?? 0) / kvCacheUtilThreshold);
    };
    return {
      saturation: meanOf(fillOf),
      filter: (cycle, slots, count) => {
        for (let i = 0; i < count; i++)
          if (hasRoom(cycle, slots[i] ?? 0)) return keep(slots, count, (slot) => hasRoom(cycle, slot));
        return count;
      },
      dropReason: (cycle, slot) =>
        isStale(cycle, slot)
          ? "metrics are stale"
          : `${cycle.endpoints.waiting[slot] ?? 0} waiting, KV cache ${cycle.endpoints.kvUsage[slot] ?? 0}`,
    };
  },
});
