import type { Cycle } from "../../framework/cycle.ts";
import { IN_FLIGHT_LOAD, producerName } from "../../framework/data.ts";
import { bool, choice, list, number, object, required } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { keep } from "./keeping.ts";

const METRICS = ["active-requests", "running-requests", "waiting-queue", "kv-cache-utilization"] as const;
const KV = "kv-cache-utilization";

const condition = object(
  {
    metric: required(choice({ doc: "What is compared.", default: METRICS[0], of: METRICS })),
    maxValue: required(number({ doc: "Highest value that is kept.", default: 0, min: 0 })),
  },
  {
    check: ({ metric, maxValue: value }, path, report) => {
      if (metric !== KV || value <= 1) return;
      report.error({ path: `${path}.maxValue`, value, cause: `must be ≤ 1 for ${KV}`, remedy: "give a share" });
    },
  },
);

/** Keeps endpoints below limits of load. */
export const utilizationFilter = definePlugin({
  type: "utilization-filter",
  kinds: ["filter"],
  stability: "alpha",
  description: "Keeps endpoints whose load is within every limit.",
  parameters: object({
    conditions: required(list(condition, { doc: "Limits that must all hold.", min: 1 })),
    fallbackOnEmpty: bool({ doc: "Keep all when none would be left.", default: false }),
    inFlightLoadProducerName: producerName(IN_FLIGHT_LOAD),
  }),
  consumes: ({ conditions, inFlightLoadProducerName: producer }) =>
    conditions.some(({ metric }) => metric === "active-requests") ? [{ key: IN_FLIGHT_LOAD, producer }] : [],
  create: ({ conditions, fallbackOnEmpty, inFlightLoadProducerName }, context) => {
    const load = context.data(IN_FLIGHT_LOAD, inFlightLoadProducerName);
    const valueOf = (cycle: Cycle, metric: (typeof METRICS)[number], slot: number): number => {
      const { endpoints } = cycle;
      if (metric === "active-requests") return load.of(cycle).requests[slot] ?? 0;
      if (metric === "running-requests") return endpoints.running[slot] ?? 0;
      return (metric === KV ? endpoints.kvUsage[slot] : endpoints.waiting[slot]) ?? 0;
    };
    const broken = (cycle: Cycle, slot: number): (typeof conditions)[number] | undefined =>
      conditions.find(({ metric, maxValue }) => valueOf(cycle, metric, slot) > maxValue);
    return {
      filter: (cycle, slots, count) => {
        if (fallbackOnEmpty && slots.subarray(0, count).every((slot) => broken(cycle, slot) !== undefined))
          return count;
        return keep(slots, count, (slot) => broken(cycle, slot) === undefined);
      },
      dropReason: (cycle, slot) => {
        const found = broken(cycle, slot);
        return found === undefined ? "" : `${found.metric} ${valueOf(cycle, found.metric, slot)} > ${found.maxValue}`;
      },
    };
  },
});
