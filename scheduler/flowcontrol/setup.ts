import type { SchedulerConfig } from "../config/types.ts";
import type { Plugin } from "../framework/plugin.ts";
import type { Pipeline } from "../scheduling/pipeline.ts";
import type { FlowSetup } from "./controller.ts";

/** Limits and policies of a configuration; undefined where its gate `flowControl` is off. */
export function flowSetupOf(config: SchedulerConfig, pipeline: Pipeline): FlowSetup | undefined {
  if (!config.gates.flowControl) return undefined;
  const hook = <K extends keyof Plugin>(name: string, key: K): NonNullable<Plugin[K]> => {
    const found = pipeline.plugin(name)[key];
    if (found === undefined) throw new Error(`plugin "${name}" has no ${key}: it cannot be used for flow control`);
    return found as NonNullable<Plugin[K]>;
  };
  const bands = [...config.flowControl.bands, config.flowControl.defaultBand, config.flowControl.negativeBand];
  const orders = new Map(bands.map(({ orderingPolicy: name }) => [name, { orderKey: hook(name, "orderKey") }]));
  const fair = new Map(bands.map(({ fairnessPolicy: name }) => [name, { chooseFlow: hook(name, "chooseFlow") }]));
  return {
    config: config.flowControl,
    // Only names of `bands` are asked for.
    ordering: (name) => orders.get(name)!,
    fairness: (name) => fair.get(name)!,
    usageLimit: { ceilings: hook(config.flowControl.usageLimitPolicy, "ceilings") },
  };
}
