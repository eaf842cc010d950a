import { grown, MULTIMODAL_MATCH, MULTIMODAL_PARTS, type MultimodalParts } from "../../framework/data.ts";
import { integer, object, retired } from "../../framework/parameters.ts";
import { definePlugin, type PluginContext } from "../../framework/plugin.ts";

const DEFAULT_MB = 4096;
/** Size that an embedding is taken to have. */
const ITEM_MB = 2;

const NONE: ReadonlySet<string> = new Set();
const TYPE = "mm-embeddings-cache-producer";
const RATIO_BUCKETS = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** Counts what was asked of the chosen pod's cache, and what it is believed to hold. */
function cacheMetrics({ metrics, name }: PluginContext) {
  const labels = ["plugin_type", "plugin_name"];
  const queries = metrics.counter({
    name: "llm_d_epp_encoder_cache_queries_total",
    help: "[ALPHA] Images, videos and audio parts of requests.",
    labels: [...labels, "modality"],
  });
  const hits = metrics.counter({
    name: "llm_d_epp_encoder_cache_hits_total",
    help: "[ALPHA] Those whose embeddings the chosen pod held.",
    labels: [...labels, "pod", "modality"],
  });
  const ratios = metrics.histogram({
    name: "llm_d_epp_encoder_cache_hit_ratio",
    help: "[ALPHA] Share of a request's parts that the chosen pod held.",
    labels: [...labels, "modality"],
    buckets: RATIO_BUCKETS,
  });
  return (pod: string, wanted: MultimodalParts["parts"], own: ReadonlySet<string>): void => {
    for (const modality of new Set(wanted.map((part) => part.modality))) {
      const parts = wanted.filter((part) => part.modality === modality);
      const found = parts.filter(({ hash }) => own.has(hash)).length;
      queries.labels(TYPE, name, modality).inc(parts.length);
      if (found > 0) hits.labels(TYPE, name, pod, modality).inc(found);
      ratios.labels(TYPE, name, modality).observe(found / parts.length);
    }
  };
}

/** Remembers which embeddings of images, video and audio each endpoint has computed. */
export const mmEmbeddingsCacheProducer = definePlugin({
  type: TYPE,
  kinds: ["data-producer", "pre-request", "extractor"],
  stability: "beta",
  description: "Remembers which embeddings of images, video and audio each endpoint has computed.",
  parameters: object({
    cacheSizeInMBPerServer: integer({
      doc: "Cache of an endpoint, 2 MiB for each part; ≤ 0: the default.",
      default: DEFAULT_MB,
    }),
    cacheSizeInMB: retired("now called cacheSizeInMBPerServer"),
  }),
  consumes: () => [{ key: MULTIMODAL_PARTS, producer: "token-producer" }],
  produces: [MULTIMODAL_MATCH],
  create: ({ cacheSizeInMBPerServer: megabytes }, context) => {
    const metrics = cacheMetrics(context);
    const parts = context.data(MULTIMODAL_PARTS, "token-producer");
    const handle = context.data(MULTIMODAL_MATCH, context.name);
    const capacity = Math.max(1, Math.floor((megabytes > 0 ? megabytes : DEFAULT_MB) / ITEM_MB));
    /** By slot; the oldest part first. */
    const held = context.keep(() => new Map<number, Set<string>>());
    const add = (slot: number, hash: string): void => {
      const own = held.get(slot) ?? new Set();
      held.set(slot, own);
      own.delete(hash);
      own.add(hash);
      const [oldest] = own;
      if (own.size > capacity && oldest !== undefined) own.delete(oldest);
    };
    return {
      produce: (cycle) => {
        const record = handle.of(cycle);
        const wanted = parts.of(cycle).parts;
        record.requested = wanted.length;
        if (wanted.length === 0) return;
        record.matched = grown(record.matched, cycle.endpoints.capacity);
        for (let i = 0; i < cycle.candidateCount; i++) {
          const slot = cycle.candidates[i] ?? 0;
          const own = held.get(slot);
          record.matched[slot] = own === undefined ? 0 : wanted.filter(({ hash }) => own.has(hash)).length;
        }
      },
      preRequest: (cycle, decision) => {
        const wanted = parts.of(cycle).parts;
        if (wanted.length === 0) return;
        const result = decision.results.get(context.stages.encode) ?? decision.primary;
        const first = result.slots[0] ?? 0;
        metrics(cycle.endpoints.metadata(first).podName, wanted, held.get(first) ?? NONE);
        for (const slot of result.slots.subarray(0, result.targetCount)) for (const { hash } of wanted) add(slot, hash);
      },
      onEndpointRemoved: (slot) => void held.delete(slot),
      dumpState: () => ({ endpoints: held.size, parts: [...held.values()].reduce((sum, own) => sum + own.size, 0) }),
    };
  },
});
