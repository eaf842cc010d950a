import type { MetricsRegistry } from "../../telemetry/metrics.ts";

/** Families that plugins have made in each registry, by name. */
const known = new WeakMap<MetricsRegistry, Map<string, unknown>>();

/**
 * A registry in which a family may be declared again: plugins of a reloaded configuration, and several of one type,
 * share the families of their metrics.
 */
export function reusing(registry: MetricsRegistry): MetricsRegistry {
  const families = known.get(registry) ?? new Map<string, unknown>();
  known.set(registry, families);
  const once = <T>(name: string, make: () => T): T => {
    if (!families.has(name)) families.set(name, make());
    // The family of a name is always of the kind that its first declaration has.
    return families.get(name) as T;
  };
  return {
    counter: (spec) => once(spec.name, () => registry.counter(spec)),
    gauge: (spec) => once(spec.name, () => registry.gauge(spec)),
    histogram: (spec) => once(spec.name, () => registry.histogram(spec)),
    onCollect: (collect) => registry.onCollect(collect),
    collectProcessMetrics: () => registry.collectProcessMetrics(),
    render: () => registry.render(),
    contentType: registry.contentType,
  };
}
