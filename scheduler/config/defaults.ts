import type { Document } from "./schema.ts";

type Plugin = Document["plugins"][number];

/** Configuration of a scheduler that is given none: that of the llm-d endpoint picker. */
export const DEFAULT_CONFIG: Readonly<Record<string, unknown>> = {
  apiVersion: "llm-d.ai/v1alpha1",
  kind: "EndpointPickerConfig",
  plugins: [
    { type: "queue-scorer" },
    { type: "kv-cache-utilization-scorer" },
    { type: "prefix-cache-scorer" },
    { type: "metrics-data-source" },
    { type: "core-metrics-extractor" },
  ],
  schedulingProfiles: [
    {
      name: "default",
      plugins: [
        { pluginRef: "queue-scorer", weight: 2 },
        { pluginRef: "kv-cache-utilization-scorer", weight: 2 },
        { pluginRef: "prefix-cache-scorer", weight: 3 },
      ],
    },
  ],
};

const SCORER = "prefix-cache-scorer";
const PRODUCER = "approx-prefix-cache-producer";
const CHARACTERS_PER_TOKEN = 4;
const MOVED = ["autoTune", "blockSize", "hashBlockSize", "maxPrefixBlocksToMatch", "lruCapacityPerServer"];

/**
 * Parameters that the prefix scorer had while it kept the index itself go to a producer instance. Block sizes were
 * characters.
 */
export function splitPrefixScorer(plugins: readonly Plugin[], warn: (text: string) => void): readonly Plugin[] {
  const extra: Plugin[] = [];
  const result = plugins.map((plugin) => {
    if (plugin.type !== SCORER || typeof plugin.parameters !== "object" || plugin.parameters === null) return plugin;
    const entries = Object.entries(plugin.parameters);
    const moved = entries.filter(([key]) => MOVED.includes(key));
    if (moved.length === 0) return plugin;
    warn(`plugin "${plugin.name || plugin.type}": ${moved.map(([key]) => key).join(", ")} moved to ${PRODUCER}`);
    extra.push({ type: PRODUCER, name: "", parameters: producerParameters(Object.fromEntries(moved)) });
    return { ...plugin, parameters: Object.fromEntries(entries.filter(([key]) => !MOVED.includes(key))) };
  });
  const declared = plugins.some(({ type }) => type === PRODUCER);
  return declared ? result : [...result, ...extra.slice(0, 1)];
}

function producerParameters(moved: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { blockSize, hashBlockSize, ...rest } = moved;
  const characters = blockSize ?? hashBlockSize;
  if (typeof characters !== "number") return rest;
  return { ...rest, blockSizeTokens: Math.max(1, Math.floor(characters / CHARACTERS_PER_TOKEN)) };
}
