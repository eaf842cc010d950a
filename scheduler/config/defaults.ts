import { bool, integer, isRecord, object, optional, type Values } from "../framework/parameters.ts";
import type { Report } from "../framework/problem.ts";
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

/** Parameters that the scorer had while it kept the index itself. Block sizes were characters. */
const moved = object({
  autoTune: optional(bool({ doc: "", default: true })),
  blockSize: optional(integer({ doc: "", default: 0, min: 0 })),
  hashBlockSize: optional(integer({ doc: "", default: 0, min: 0 })),
  blockSizeTokens: optional(integer({ doc: "", default: 0, min: 0 })),
  maxPrefixBlocksToMatch: optional(integer({ doc: "", default: 0, min: 0 })),
  maxPrefixTokensToMatch: optional(integer({ doc: "", default: 0, min: 0 })),
  lruCapacityPerServer: optional(integer({ doc: "", default: 0 })),
});
type Moved = Values<NonNullable<typeof moved.fields>> & typeof moved.fallback;

/** Plugins with the parameters of the index taken from prefix scorers, and the producer that has them instead. */
export function splitPrefixScorers(
  plugins: readonly Plugin[],
  report: Report,
): { readonly written: readonly Plugin[]; readonly added: readonly { type: string; parameters: unknown }[] } {
  const added: { type: string; parameters: unknown }[] = [];
  const written = plugins.map((plugin, index) => {
    if (plugin.type !== SCORER || !isRecord(plugin.parameters)) return plugin;
    const given = Object.entries(plugin.parameters);
    const names = given.map(([key]) => key).filter((key) => Object.hasOwn(moved.fallback, key));
    if (names.length === 0) return plugin;
    report.warn(`plugin "${plugin.name || plugin.type}": ${names.join(", ")} moved to ${PRODUCER}`);
    const taken = Object.fromEntries(given.filter(([key]) => names.includes(key)));
    added.push({
      type: PRODUCER,
      parameters: indexParameters(moved.read(taken, `plugins[${index}].parameters`, report)),
    });
    return { ...plugin, parameters: Object.fromEntries(given.filter(([key]) => !names.includes(key))) };
  });
  const declared = plugins.some(({ type }) => type === PRODUCER);
  return { written, added: declared ? [] : added.slice(0, 1) };
}

function indexParameters({ blockSize, hashBlockSize, blockSizeTokens, ...rest }: Moved): unknown {
  const characters = blockSize ?? hashBlockSize ?? 0;
  const tokens = blockSizeTokens ?? Math.floor(characters / CHARACTERS_PER_TOKEN);
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(given), ...(tokens > 0 ? { blockSizeTokens: tokens } : {}) };
}
