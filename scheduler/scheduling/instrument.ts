import type { Plugin } from "../framework/plugin.ts";
import type { SchedulingMetrics } from "../metrics/scheduling-metrics.ts";

/** Hooks that are timed, and the extension point that each is shown as. */
const EXTENSION_POINTS = {
  fairnessId: "RequestHeader",
  screen: "Screener",
  produce: "DataProducer",
  admit: "Admission",
  nextProfiles: "ProfilePicker",
  filter: "Filter",
  score: "Scorer",
  pick: "Picker",
  primaryProfile: "ProcessProfilesResults",
  preRequest: "PreRequest",
  onResponseHeaders: "ResponseReceived",
  onResponseBody: "ResponseStreaming",
  onComplete: "ResponseComplete",
} as const satisfies Partial<Record<keyof Plugin, string>>;

type Hook = (...values: readonly unknown[]) => unknown;

/**
 * Measures how long an instance takes at each extension point. The instance itself is changed, so that those who refer to it
 * are measured, too. `now` is in monotonic milliseconds.
 */
export function instrument(
  plugin: Plugin,
  { type, name }: { readonly type: string; readonly name: string },
  metrics: SchedulingMetrics,
  now: () => number,
): void {
  // Plugins are records of functions; each is replaced by one of the same type.
  const hooks = plugin as Record<string, Hook | undefined>;
  for (const [key, point] of Object.entries(EXTENSION_POINTS)) {
    const hook = hooks[key];
    if (hook === undefined) continue;
    const histogram = metrics.plugin(point, type, name);
    hooks[key] = (a, b, c, d) => {
      const beganAtMs = now();
      try {
        return hook.call(plugin, a, b, c, d);
      } finally {
        histogram.observe((now() - beganAtMs) / 1000);
      }
    };
  }
}
