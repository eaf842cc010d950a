/** Data that producers hand to other plugins: keys, record types, and where the default producer is found. */
import type { Cycle } from "./cycle.ts";
import { type Field, text } from "./parameters.ts";

/** Identity and record type of produced data. `create` makes an empty record for one request. */
export interface DataKey<T> {
  readonly name: string;
  /** Producer type that is created when a required key has none; undefined: the data layer provides it. */
  readonly defaultProducer: string | undefined;
  /** Whether a sole producer of another name stands in for the default one: consumers have no parameter that names it. */
  readonly anyProducer?: boolean;
  readonly create: () => T;
}

/** A plugin's declared use or making of data. */
export interface DataUse {
  readonly key: DataKey<unknown>;
  /** Name of the producing plugin instance. */
  readonly producer: string;
  /** An optional use orders producers but does not create one. */
  readonly optional?: boolean;
}

/** Access to one kind of data within a request. */
export interface DataHandle<T> {
  /** The record of this request. A producer overwrites it before any consumer reads. */
  of(cycle: Cycle): T;
}

/** Prefix-cache match of one request. Arrays are indexed by slot and valid for the request's candidates only. */
export interface PrefixMatch {
  /** Cached blocks, weighted by tier where tiers are known. */
  match: Float64Array;
  /** Contiguous cached blocks without weights. */
  cachedBlocks: Float64Array;
  /** Blocks over all prompts; 0: nothing hashed. */
  totalBlocks: number;
  /** Tokens of one block. */
  blockSizeTokens: number;
}

/** Prompts as tokens: bytes of little-endian 32-bit ids, four bytes a token, the last token zero-padded. */
export interface TokenizedPrompt {
  prompts: readonly Uint8Array[];
  /** Tokens over all prompts. */
  tokenCount: number;
}

/** Images, videos and audio of a request, each distinct one once. */
export interface MultimodalParts {
  parts: readonly { readonly modality: string; readonly hash: string }[];
}

/** Parts of this request whose embeddings each candidate is believed to hold. `matched` is indexed by slot. */
export interface MultimodalMatch {
  matched: Float64Array;
  /** Parts of the request; 0: text alone. */
  requested: number;
}

/** Session that a request belongs to; "" when it tells none. */
export interface SessionId {
  id: string;
}

/** Predicted latency of this request on each candidate, in ms. Arrays are indexed by slot; NaN: no prediction. */
export interface LatencyPrediction {
  ttftMs: Float64Array;
  tpotMs: Float64Array;
  /** What is left of the objective; negative when it would be missed. */
  ttftHeadroomMs: Float64Array;
  tpotHeadroomMs: Float64Array;
  /** Requests sent to the endpoint and not finished. */
  dispatched: Float64Array;
  /** False when nobody predicted for this request. */
  known: boolean;
}

/** Names of the pod labels that tell where an endpoint runs, tightest first. */
export interface Topology {
  labels: readonly string[];
}

/** Load that this process has sent to each endpoint and not yet seen answered. Indexed by slot; live. */
export interface InFlightLoad {
  requests: Float64Array;
  tokens: Float64Array;
}

/** Prompt tokens of this request that each candidate would have to compute. Indexed by slot. */
export interface UncachedTokens {
  tokens: Float64Array;
}

const EMPTY = new Float64Array(0);

export const PREFIX_MATCH: DataKey<PrefixMatch> = {
  name: "PrefixCacheMatchInfoDataKey",
  defaultProducer: "approx-prefix-cache-producer",
  create: () => ({ match: EMPTY, cachedBlocks: EMPTY, totalBlocks: 0, blockSizeTokens: 0 }),
};

export const TOKENIZED_PROMPT: DataKey<TokenizedPrompt> = {
  name: "TokenizedPrompt",
  defaultProducer: "token-producer",
  anyProducer: true,
  create: () => ({ prompts: [], tokenCount: 0 }),
};

export const MULTIMODAL_PARTS: DataKey<MultimodalParts> = {
  name: "MultimodalParts",
  defaultProducer: "token-producer",
  anyProducer: true,
  create: () => ({ parts: [] }),
};

export const MULTIMODAL_MATCH: DataKey<MultimodalMatch> = {
  name: "MultiModalEncoderCacheMatchInfoKey",
  defaultProducer: "mm-embeddings-cache-producer",
  create: () => ({ matched: EMPTY, requested: 0 }),
};

export const SESSION_ID: DataKey<SessionId> = {
  name: "SessionIDDataKey",
  defaultProducer: "session-id-producer",
  create: () => ({ id: "" }),
};

export const LATENCY_PREDICTION: DataKey<LatencyPrediction> = {
  name: "LatencyPredictionInfoDataKey",
  defaultProducer: "predicted-latency-producer",
  create: () => ({
    ttftMs: EMPTY,
    tpotMs: EMPTY,
    ttftHeadroomMs: EMPTY,
    tpotHeadroomMs: EMPTY,
    dispatched: EMPTY,
    known: false,
  }),
};

export const TOPOLOGY: DataKey<Topology> = {
  name: "Topology",
  defaultProducer: "topology-extractor",
  create: () => ({ labels: [] }),
};

export const IN_FLIGHT_LOAD: DataKey<InFlightLoad> = {
  name: "InFlightLoadDataKey",
  defaultProducer: "inflight-load-producer",
  create: () => ({ requests: EMPTY, tokens: EMPTY }),
};

export const UNCACHED_TOKENS: DataKey<UncachedTokens> = {
  name: "UncachedRequestTokensDataKey",
  defaultProducer: "inflight-load-producer",
  create: () => ({ tokens: EMPTY }),
};

const coreMetric = (name: string): DataUse => ({
  key: { name, defaultProducer: undefined, create: () => undefined },
  producer: "core-metrics-extractor",
});

/** Metrics that the data layer scrapes into the endpoint columns. */
export const CORE_METRICS = {
  waiting: coreMetric("WaitingQueueSize"),
  running: coreMetric("RunningRequestsSize"),
  kvUsage: coreMetric("KVCacheUsagePercent"),
  activeModels: coreMetric("ActiveModels"),
  waitingModels: coreMetric("WaitingModels"),
} as const;

/** A parameter that names the producer of `key`; empty means the default one. */
export function producerName(key: DataKey<unknown>): Field<string> {
  const fallback = key.defaultProducer ?? "";
  const inner = text({ doc: `Name of the producer of ${key.name}.`, default: fallback });
  return { ...inner, read: (value, path, report) => inner.read(value, path, report) || fallback };
}

/** The names of plugins, each with the data that it makes. */
type Producers = readonly { readonly name: string; readonly definition: { readonly produces?: readonly unknown[] } }[];

/** Name of the plugin that makes what is asked of `wanted`. */
export function resolveProducer(key: DataKey<unknown>, wanted: string, plugins: Producers): string {
  if (key.anyProducer !== true || plugins.some(({ name }) => name === wanted)) return wanted;
  const [only, other] = plugins.filter(({ definition }) => definition.produces?.includes(key));
  return only === undefined || other !== undefined ? wanted : only.name;
}

/** `column` if it has at least `length` items, else a longer one with the same content. */
export function grown(column: Float64Array, length: number): Float64Array {
  if (column.length >= length) return column;
  const longer = new Float64Array(length);
  longer.set(column);
  return longer;
}
