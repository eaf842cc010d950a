import type { AnyPluginDefinition, PluginRegistry } from "../framework/plugin.ts";
import { dataParallelProfileHandler } from "./profile-handler/data-parallel-profile-handler.ts";
import { disaggProfileHandler } from "./profile-handler/disagg-profile-handler.ts";
import { headerProfileHandler } from "./profile-handler/header-profile-handler.ts";
import { pdProfileHandler } from "./profile-handler/pd-profile-handler.ts";
import { singleProfileHandler } from "./profile-handler/single-profile-handler.ts";
import { disaggHeadersHandler } from "./pre-request/disagg-headers-handler.ts";
import { prefillHeaderHandler } from "./pre-request/prefill-header-handler.ts";
import { alwaysDisaggMultimodalDecider } from "./decider/always-disagg-multimodal-decider.ts";
import { alwaysDisaggPdDecider } from "./decider/always-disagg-pd-decider.ts";
import { prefixBasedPdDecider } from "./decider/prefix-based-pd-decider.ts";
import { byLabelSelector } from "./filter/by-label-selector.ts";
import { byLabel } from "./filter/by-label.ts";
import { decodeFilter } from "./filter/decode-filter.ts";
import { encodeFilter } from "./filter/encode-filter.ts";
import { endpointAttributeFilter } from "./filter/endpoint-attribute-filter.ts";
import { headerBasedTestingFilter } from "./filter/header-based-testing-filter.ts";
import { labelSelectorFilter } from "./filter/label-selector-filter.ts";
import { multiclusterSessionAffinityFilter } from "./filter/multicluster-session-affinity-filter.ts";
import { prefillFilter } from "./filter/prefill-filter.ts";
import { prefixCacheAffinityFilter } from "./filter/prefix-cache-affinity-filter.ts";
import { sessionAffinityFilter } from "./filter/session-affinity-filter.ts";
import { sloHeadroomTierFilter } from "./filter/slo-headroom-tier-filter.ts";
import { topologyAffinityFilter } from "./filter/topology-affinity-filter.ts";
import { utilizationFilter } from "./filter/utilization-filter.ts";
import { activeRequestScorer } from "./scorer/active-request-scorer.ts";
import { contextLengthAware } from "./scorer/context-length-aware.ts";
import { endpointAttributeScorer } from "./scorer/endpoint-attribute-scorer.ts";
import { headerLabelAffinityScorer } from "./scorer/header-label-affinity-scorer.ts";
import { kvCacheUtilizationScorer } from "./scorer/kv-cache-utilization-scorer.ts";
import { latencyScorer } from "./scorer/latency-scorer.ts";
import { loadAwareScorer } from "./scorer/load-aware-scorer.ts";
import { loraAffinityScorer } from "./scorer/lora-affinity-scorer.ts";
import { mmEmbeddingsCacheScorer } from "./scorer/mm-embeddings-cache-scorer.ts";
import { multiclusterKvCacheUtilizationScorer } from "./scorer/multicluster-kv-cache-utilization-scorer.ts";
import { multiclusterPrefixCacheScorer } from "./scorer/multicluster-prefix-cache-scorer.ts";
import { multiclusterQueueScorer } from "./scorer/multicluster-queue-scorer.ts";
import { noHitLruScorer } from "./scorer/no-hit-lru-scorer.ts";
import { precisePrefixCacheScorer } from "./scorer/precise-prefix-cache-scorer.ts";
import { prefixCacheScorer } from "./scorer/prefix-cache-scorer.ts";
import { queueScorer } from "./scorer/queue-scorer.ts";
import { runningRequestsSizeScorer } from "./scorer/running-requests-size-scorer.ts";
import { sessionAffinityScorer } from "./scorer/session-affinity-scorer.ts";
import { tokenLoadScorer } from "./scorer/token-load-scorer.ts";
import { topologyAffinityScorer } from "./scorer/topology-affinity-scorer.ts";
import { maxScorePicker } from "./picker/max-score-picker.ts";
import { randomPicker } from "./picker/random-picker.ts";
import { weightedRandomPicker } from "./picker/weighted-random-picker.ts";
import { approxPrefixCacheProducer } from "./data-producer/approx-prefix-cache-producer.ts";
import { burstPrefixCacheProducer } from "./data-producer/burst-prefix-cache-producer.ts";
import { inflightLoadProducer } from "./data-producer/inflight-load-producer.ts";
import { mmEmbeddingsCacheProducer } from "./data-producer/mm-embeddings-cache-producer.ts";
import { multiclusterApproxPrefixCacheProducer } from "./data-producer/multicluster-approx-prefix-cache-producer.ts";
import { p2pSourceProducer } from "./data-producer/p2p-source-producer.ts";
import { precisePrefixCacheProducer } from "./data-producer/precise-prefix-cache-producer.ts";
import { predictedLatencyProducer } from "./data-producer/predicted-latency-producer.ts";
import { sessionIdProducer } from "./data-producer/session-id-producer.ts";
import { tokenProducer } from "./data-producer/token-producer.ts";
import { tokenizer } from "./data-producer/tokenizer.ts";
import { latencySloAdmitter } from "./admitter/latency-slo-admitter.ts";
import { probabilisticAdmitter } from "./admitter/probabilistic-admitter.ts";
import { disaggregatedsetRolloutScreener } from "./screener/disaggregatedset-rollout-screener.ts";
import { agentIdentity } from "./request-header/agent-identity.ts";
import { destinationEndpointServedVerifier } from "./response-header/destination-endpoint-served-verifier.ts";
import { requestAttributeReporter } from "./response-body/request-attribute-reporter.ts";
import { concurrencyDetector } from "./saturation-detector/concurrency-detector.ts";
import { utilizationDetector } from "./saturation-detector/utilization-detector.ts";
import { edfOrderingPolicy } from "./ordering-policy/edf-ordering-policy.ts";
import { fcfsOrderingPolicy } from "./ordering-policy/fcfs-ordering-policy.ts";
import { sloDeadlineOrderingPolicy } from "./ordering-policy/slo-deadline-ordering-policy.ts";
import { globalStrictFairnessPolicy } from "./fairness-policy/global-strict-fairness-policy.ts";
import { programAwareFairness } from "./fairness-policy/program-aware-fairness.ts";
import { roundRobinFairnessPolicy } from "./fairness-policy/round-robin-fairness-policy.ts";
import { priorityHoldbackPolicy } from "./usage-limit-policy/priority-holdback-policy.ts";
import { softReflectiveCeilingPolicy } from "./usage-limit-policy/soft-reflective-ceiling-policy.ts";
import { staticUsageLimitPolicy } from "./usage-limit-policy/static-usage-limit-policy.ts";
import { priorityThenTimeEvictionOrderPolicy } from "./eviction-policy/priority-then-time-eviction-order-policy.ts";
import { sheddableEvictionFilter } from "./eviction-policy/sheddable-eviction-filter.ts";
import { dcgmDataSource } from "./data-source/dcgm-data-source.ts";
import { endpointNotificationSource } from "./data-source/endpoint-notification-source.ts";
import { k8sNotificationSource } from "./data-source/k8s-notification-source.ts";
import { metricsDataSource } from "./data-source/metrics-data-source.ts";
import { modelsDataSource } from "./data-source/models-data-source.ts";
import { multiclusterMetricsDataSource } from "./data-source/multicluster-metrics-data-source.ts";
import { coreMetricsExtractor } from "./extractor/core-metrics-extractor.ts";
import { dcgmExtractor } from "./extractor/dcgm-extractor.ts";
import { modelsDataExtractor } from "./extractor/models-data-extractor.ts";
import { multiclusterMetricsExtractor } from "./extractor/multicluster-metrics-extractor.ts";
import { topologyExtractor } from "./extractor/topology-extractor.ts";
import { fileDiscovery } from "./discovery/file-discovery.ts";
import { multiclusterFileDiscovery } from "./discovery/multicluster-file-discovery.ts";
import { anthropicParser } from "./parser/anthropic-parser.ts";
import { openaiParser } from "./parser/openai-parser.ts";
import { passthroughParser } from "./parser/passthrough-parser.ts";
import { sglanghttpParser } from "./parser/sglanghttp-parser.ts";
import { vertexaiParser } from "./parser/vertexai-parser.ts";
import { vllmgrpcParser } from "./parser/vllmgrpc-parser.ts";
import { vllmhttpParser } from "./parser/vllmhttp-parser.ts";

const DEFINITIONS: readonly AnyPluginDefinition[] = [
  dataParallelProfileHandler,
  disaggProfileHandler,
  headerProfileHandler,
  pdProfileHandler,
  singleProfileHandler,
  disaggHeadersHandler,
  prefillHeaderHandler,
  alwaysDisaggMultimodalDecider,
  alwaysDisaggPdDecider,
  prefixBasedPdDecider,
  byLabelSelector,
  byLabel,
  decodeFilter,
  encodeFilter,
  endpointAttributeFilter,
  headerBasedTestingFilter,
  labelSelectorFilter,
  multiclusterSessionAffinityFilter,
  prefillFilter,
  prefixCacheAffinityFilter,
  sessionAffinityFilter,
  sloHeadroomTierFilter,
  topologyAffinityFilter,
  utilizationFilter,
  activeRequestScorer,
  contextLengthAware,
  endpointAttributeScorer,
  headerLabelAffinityScorer,
  kvCacheUtilizationScorer,
  latencyScorer,
  loadAwareScorer,
  loraAffinityScorer,
  mmEmbeddingsCacheScorer,
  multiclusterKvCacheUtilizationScorer,
  multiclusterPrefixCacheScorer,
  multiclusterQueueScorer,
  noHitLruScorer,
  precisePrefixCacheScorer,
  prefixCacheScorer,
  queueScorer,
  runningRequestsSizeScorer,
  sessionAffinityScorer,
  tokenLoadScorer,
  topologyAffinityScorer,
  maxScorePicker,
  randomPicker,
  weightedRandomPicker,
  approxPrefixCacheProducer,
  burstPrefixCacheProducer,
  inflightLoadProducer,
  mmEmbeddingsCacheProducer,
  multiclusterApproxPrefixCacheProducer,
  p2pSourceProducer,
  precisePrefixCacheProducer,
  predictedLatencyProducer,
  sessionIdProducer,
  tokenProducer,
  tokenizer,
  latencySloAdmitter,
  probabilisticAdmitter,
  disaggregatedsetRolloutScreener,
  agentIdentity,
  destinationEndpointServedVerifier,
  requestAttributeReporter,
  concurrencyDetector,
  utilizationDetector,
  edfOrderingPolicy,
  fcfsOrderingPolicy,
  sloDeadlineOrderingPolicy,
  globalStrictFairnessPolicy,
  programAwareFairness,
  roundRobinFairnessPolicy,
  priorityHoldbackPolicy,
  softReflectiveCeilingPolicy,
  staticUsageLimitPolicy,
  priorityThenTimeEvictionOrderPolicy,
  sheddableEvictionFilter,
  dcgmDataSource,
  endpointNotificationSource,
  k8sNotificationSource,
  metricsDataSource,
  modelsDataSource,
  multiclusterMetricsDataSource,
  coreMetricsExtractor,
  dcgmExtractor,
  modelsDataExtractor,
  multiclusterMetricsExtractor,
  topologyExtractor,
  fileDiscovery,
  multiclusterFileDiscovery,
  anthropicParser,
  openaiParser,
  passthroughParser,
  sglanghttpParser,
  vertexaiParser,
  vllmgrpcParser,
  vllmhttpParser,
];

/** Every plugin type of this scheduler. */
export const PLUGINS: PluginRegistry = new Map(DEFINITIONS.map((definition) => [definition.type, definition]));
