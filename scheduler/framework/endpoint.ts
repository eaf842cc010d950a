/**
 * Endpoints as columns. An endpoint (address and port of one model-server rank) is a slot number; each metric is a typed
 * array indexed by slot. Slots are reused: a slot with its generation names one endpoint for ever.
 */

/** Immutable facts of one endpoint. Labels and other facts change by replacing the whole record. */
export interface EndpointMetadata {
  readonly namespace: string;
  readonly podName: string;
  /** Unique in the namespace: `<pod>-rank-<i>`. */
  readonly name: string;
  /** IP address without brackets, or a host name. */
  readonly address: string;
  readonly port: number;
  /** `ip:port`, IPv6 in brackets. */
  readonly hostPort: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Data-parallel rank: index into the pool's target ports. */
  readonly rank: number;
  /** `ip:port` where metrics are read. */
  readonly metricsHost: string;
  /** IP of the node; "" when unknown. */
  readonly nodeAddress: string;
}

/**
 * What plugins read of the fleet. The arrays are replaced when the store grows: read the property at each use, never
 * keep an array.
 */
export interface EndpointColumns {
  /** Length of every column. */
  readonly capacity: number;
  /** Requests waiting in the engine's queue. Before the first scrape of an endpoint, the mean of the others. */
  readonly waiting: Float64Array;
  /** Requests the engine runs. */
  readonly running: Float64Array;
  /** Share of the KV cache in use, 0–1. */
  readonly kvUsage: Float64Array;
  /** Monotonic ms of the last successful scrape; 0: never. */
  readonly updatedAtMs: Float64Array;
  /** Tokens of one engine cache block; 0 when unknown. */
  readonly cacheBlockSize: Float64Array;
  /** Cache blocks of the engine; 0 when unknown. */
  readonly cacheNumBlocks: Float64Array;
  /** Adapters that may run at once; 0 without LoRA. */
  readonly maxActiveModels: Float64Array;
  /** Number of the endpoint that lives in the slot. */
  readonly generation: Uint32Array;
  /** Facts of the endpoint in the slot; throws for an empty slot, which no candidate list contains. */
  metadata(slot: number): EndpointMetadata;
  /** Adapters running in the engine. */
  activeModels(slot: number): ReadonlySet<string>;
  /** Adapters with waiting requests. */
  waitingModels(slot: number): ReadonlySet<string>;
  /** Values published under names of the configuration (customMetrics); NaN when absent. */
  attribute(name: string, slot: number): number;
}
