/** Parameters of the precise prefix cache, in every spelling that releases have had. */
import {
  anything,
  bool,
  choice,
  durationMs,
  integer,
  list,
  number,
  object,
  optional,
  required,
  retired,
  text,
} from "../../framework/parameters.ts";

const tokenProcessor = object({
  blockSizeTokens: integer({ doc: "Tokens of a block, as the engine has them.", default: 16, min: 1 }),
  blockSize: optional(integer({ doc: "Former name of blockSizeTokens.", default: 16, min: 1 })),
  hashSeed: text({ doc: "PYTHONHASHSEED of the engine.", default: "" }),
  hashAlgorithm: choice({ doc: "How index keys are made.", default: "", of: ["", "cbor-fnv", "xxh64"] }),
});

const blockIndex = object({
  inMemoryConfig: optional(
    object({
      size: integer({ doc: "Keys.", default: 100_000_000, min: 1 }),
      podCacheSize: integer({ doc: "Endpoints of a key.", default: 10, min: 1 }),
    }),
  ),
  costAwareMemoryConfig: optional(object({ size: anything("Most bytes.") })),
  redisConfig: optional(anything("A Redis server.")),
  valkeyConfig: optional(anything("A Valkey server.")),
  enableMetrics: bool({ doc: "Whether the index is measured.", default: false }),
  metricsLoggingInterval: durationMs({ doc: "Pause between log lines of it.", default: 0, min: 0 }),
  maxPrefixBlocksToMatch: retired("the whole prompt is looked at"),
});

const tokenizersPool = "configure a token-producer plugin instead";

const indexer = object({
  tokenProcessorConfig: optional(tokenProcessor),
  kvBlockIndexConfig: optional(blockIndex),
  kvCacheBackendConfigs: list(
    object({
      name: required(text({ doc: "Tier.", default: "", nonEmpty: true })),
      weight: number({ doc: "Worth of a block there.", default: 1 }),
    }),
    { doc: "Tiers of the cache." },
  ),
  prefixStoreConfig: retired("tokens of texts are not kept"),
  tokenizersPoolConfig: retired(tokenizersPool),
  tokenizersCacheDir: retired(tokenizersPool),
});

const events = object({
  zmqEndpoint: text({ doc: "Address that engines publish to.", default: "" }),
  topicFilter: text({ doc: "Prefix of topics.", default: "kv@" }),
  concurrency: integer({ doc: "Workers.", default: 4, min: 1 }),
  engineType: text({ doc: "Engine that publishes.", default: "vllm" }),
  discoverPods: bool({ doc: "Whether each endpoint is connected to.", default: true }),
  podDiscoveryConfig: optional(
    object({
      podLabelSelector: text({ doc: "Pods that publish.", default: "llm-d.ai/inference-serving=true" }),
      podNamespace: text({ doc: "Their namespace.", default: "" }),
      socketPort: integer({ doc: "Port of the first rank.", default: 5557, min: 1, max: 65_535 }),
      replaySocketPort: integer({ doc: "Port of past events; 0: none.", default: 0, min: 0, max: 65_535 }),
    }),
  ),
});

/** Where blocks, tokenizers and events are configured. */
export const preciseParameters = object({
  tokenProcessorConfig: optional(tokenProcessor),
  indexerConfig: optional(indexer),
  kvEventsConfig: optional(events),
  speculativeIndexing: bool({ doc: "Count blocks of requests that have just been sent.", default: false }),
  speculativeTTL: durationMs({ doc: "How long those count.", default: 2000 }),
  mode: retired("the precise cache has one mode"),
  kvBlockIndexConfig: optional(blockIndex),
  prefixStoreConfig: retired("tokens of texts are not kept"),
  tokenizersPoolConfig: retired(tokenizersPool),
});

/** What a release without the event subscriber does not do. */
export const NO_EVENTS = "KV cache events are not read: nothing counts as cached, so that the match is 0";
