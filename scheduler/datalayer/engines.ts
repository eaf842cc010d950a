import { type MetricSpec, metricSpec } from "../framework/metric-spec.ts";

/** Where one number of an engine is found. Several names are tried in their order; none: the engine does not tell. */
export type MetricNames = readonly MetricSpec[];

/** A number published under a name of the configuration. */
export interface CustomMetric {
  readonly attribute: string;
  readonly metric: MetricSpec;
}

/** Metric names of one engine. */
export interface EngineMetrics {
  readonly waiting: MetricNames;
  readonly running: MetricNames;
  readonly kvUsage: MetricNames;
  /** Series whose labels name the adapters. */
  readonly lora: MetricNames;
  /** Series whose labels tell the cache's layout. */
  readonly cacheInfo: MetricNames;
  /** Labels of `cacheInfo` that tell block size and number of blocks. */
  readonly blockSizeLabel: string;
  readonly numBlocksLabel: string;
  /** Gauges that tell the same; they win over labels. */
  readonly blockSize: MetricNames;
  readonly numBlocks: MetricNames;
  readonly custom: readonly CustomMetric[];
}

const names = (...texts: readonly string[]): MetricNames => texts.map(metricSpec);

const NONE: EngineMetrics = {
  waiting: [],
  running: [],
  kvUsage: [],
  lora: [],
  cacheInfo: [],
  blockSizeLabel: "block_size",
  numBlocksLabel: "num_gpu_blocks",
  blockSize: [],
  numBlocks: [],
  custom: [],
};

/** vLLM, old and new names. */
export const VLLM: EngineMetrics = {
  ...NONE,
  waiting: names("vllm:num_requests_waiting"),
  running: names("vllm:num_requests_running"),
  kvUsage: names("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
  lora: names("vllm:lora_requests_info"),
  cacheInfo: names("vllm:cache_config_info"),
};

/** Engines that are known without configuration, by the value of the engine label. */
export const ENGINES: ReadonlyMap<string, EngineMetrics> = new Map([
  ["vllm", VLLM],
  [
    "sglang",
    {
      ...NONE,
      waiting: names("sglang:num_queue_reqs"),
      running: names("sglang:num_running_reqs"),
      kvUsage: names("sglang:token_usage"),
      cacheInfo: names("sglang:cache_config_info"),
      blockSizeLabel: "page_size",
      numBlocksLabel: "num_pages",
    },
  ],
  [
    "trtllm-serve",
    {
      ...NONE,
      waiting: names("trtllm_num_requests_waiting"),
      running: names("trtllm_num_requests_running"),
      kvUsage: names("trtllm_kv_cache_utilization"),
      blockSize: names("trtllm_kv_cache_tokens_per_block"),
      numBlocks: names("trtllm_kv_cache_max_blocks"),
    },
  ],
  [
    "triton-tensorrt-llm",
    {
      ...NONE,
      waiting: names("nv_trt_llm_request_metrics{request_type=waiting}"),
      running: names("nv_trt_llm_request_metrics{request_type=scheduled}"),
      kvUsage: names("nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=fraction}"),
      blockSize: names("nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=tokens_per}"),
      numBlocks: names("nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=max}"),
    },
  ],
  [
    "triton",
    {
      ...NONE,
      waiting: names("nv_inference_pending_request_count"),
      running: names("nv_inference_exec_count"),
    },
  ],
]);

/** How a pod's engine is found. */
export interface EngineTable {
  readonly engines: ReadonlyMap<string, EngineMetrics>;
  /** Pod labels whose value names the engine; the first that is set counts. */
  readonly labels: readonly string[];
  /** For pods without a label, or with an unknown engine. */
  readonly fallback: EngineMetrics;
}

/** Labels that name an engine, the current one first. */
export const ENGINE_LABELS: readonly string[] = ["llm-d.ai/engine-type", "inference.networking.k8s.io/engine-type"];

/** The table without any configuration. */
export const DEFAULT_ENGINES: EngineTable = { engines: ENGINES, labels: ENGINE_LABELS, fallback: VLLM };

/** The metrics of a pod with these labels. */
export function engineOf(labels: Readonly<Record<string, string>>, table: EngineTable): EngineMetrics {
  const label = table.labels.find((name) => labels[name] !== undefined);
  return (label === undefined ? undefined : table.engines.get(labels[label] ?? "")) ?? table.fallback;
}
