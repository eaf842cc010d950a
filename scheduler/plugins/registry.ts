import { anything } from "../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin, type PluginKind, type PluginRegistry } from "../framework/plugin.ts";
import { approxPrefixCacheProducer } from "./data-producer/approx-prefix-cache-producer.ts";
import { inflightLoadProducer } from "./data-producer/inflight-load-producer.ts";
import { tokenProducer } from "./data-producer/token-producer.ts";
import { byLabel, byLabelSelector, decodeFilter, labelSelectorFilter, prefillFilter } from "./filter/labels.ts";
import { maxScorePicker, randomPicker, weightedRandomPicker } from "./picker/pickers.ts";
import {
  alwaysDisaggPdDecider,
  disaggHeadersHandler,
  disaggProfileHandler,
  pdProfileHandler,
  prefillHeaderHandler,
  singleProfileHandler,
} from "./profile-handler/handlers.ts";
import { loraAffinityScorer, noHitLruScorer, prefixCacheScorer } from "./scorer/affinity.ts";
import {
  activeRequestScorer,
  kvCacheUtilizationScorer,
  loadAwareScorer,
  queueScorer,
  runningRequestsSizeScorer,
  tokenLoadScorer,
} from "./scorer/load.ts";

/** A type of other endpoint pickers that is accepted and does nothing here, which the loader warns about. */
function accepted(type: string, kind: PluginKind, handledBy?: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: [kind],
    stability: "beta",
    description: "Accepted for compatibility.",
    parameters: anything("Not read."),
    ...(handledBy === undefined ? {} : { handledBy }),
  });
}

const PARSERS = ["openai", "anthropic", "vllmhttp", "passthrough", "vllmgrpc", "sglanghttp", "vertexai"];

const DEFINITIONS: readonly AnyPluginDefinition[] = [
  singleProfileHandler,
  disaggProfileHandler,
  pdProfileHandler,
  disaggHeadersHandler,
  prefillHeaderHandler,
  alwaysDisaggPdDecider,
  decodeFilter,
  prefillFilter,
  byLabel,
  byLabelSelector,
  labelSelectorFilter,
  queueScorer,
  runningRequestsSizeScorer,
  kvCacheUtilizationScorer,
  loadAwareScorer,
  activeRequestScorer,
  tokenLoadScorer,
  prefixCacheScorer,
  noHitLruScorer,
  loraAffinityScorer,
  maxScorePicker,
  randomPicker,
  weightedRandomPicker,
  tokenProducer,
  approxPrefixCacheProducer,
  inflightLoadProducer,
  accepted("metrics-data-source", "data-source", "the metrics scraper"),
  accepted("core-metrics-extractor", "extractor", "the metrics scraper"),
  accepted("utilization-detector", "saturation-detector"),
  accepted("concurrency-detector", "saturation-detector"),
  accepted("session-affinity-scorer", "scorer"),
  accepted("context-length-aware", "scorer"),
  accepted("latency-scorer", "scorer"),
  accepted("precise-prefix-cache-scorer", "scorer"),
  accepted("precise-prefix-cache-producer", "data-producer"),
  accepted("predicted-latency-producer", "data-producer"),
  accepted("fcfs-ordering-policy", "ordering-policy"),
  accepted("edf-ordering-policy", "ordering-policy"),
  accepted("slo-deadline-ordering-policy", "ordering-policy"),
  accepted("global-strict-fairness-policy", "fairness-policy"),
  accepted("round-robin-fairness-policy", "fairness-policy"),
  accepted("static-usage-limit-policy", "usage-limit-policy"),
  ...PARSERS.map((name) => accepted(`${name}-parser`, "parser", "the request parsers")),
];

/** Every plugin type of this scheduler. */
export const PLUGINS: PluginRegistry = new Map(DEFINITIONS.map((definition) => [definition.type, definition]));
