import type { EndpointSample } from "./endpoint-store.ts";
import { type Series, seriesOf } from "./metric-page.ts";

/** Metric names of one engine. Several names are tried in their order. */
export interface EngineMetrics {
  readonly waiting: readonly MetricSpec[];
  readonly running: readonly MetricSpec[];
  readonly kvUsage: readonly MetricSpec[];
  readonly lora: readonly MetricSpec[];
  readonly cacheInfo: readonly MetricSpec[];
  /** Labels of `cacheInfo` that tell block size and number of blocks. */
  readonly blockSizeLabel: string;
  readonly numBlocksLabel: string;
}

/** A metric with the labels that its series must have. */
export interface MetricSpec {
  readonly name: string;
  readonly labels: readonly (readonly [name: string, value: string])[];
}

/** Reads `name` or `name{label=value,…}`; quotes are optional. An empty text is no metric. */
export function parseMetricSpec(text: string): MetricSpec[] {
  const match = /^\s*([^\s{}]+)\s*(?:\{(.*)\})?\s*$/.exec(text);
  if (match === null) return [];
  const labels = (match[2] ?? "").split(",").flatMap((part) => {
    const [name = "", ...value] = part.split("=");
    const plain = value
      .join("=")
      .trim()
      .replace(/^"(.*)"$/, "$1");
    return name.trim() === "" ? [] : [[name.trim(), plain] as const];
  });
  return [{ name: match[1] ?? "", labels }];
}

const specs = (...texts: readonly string[]): readonly MetricSpec[] => texts.flatMap(parseMetricSpec);

/** vLLM, old and new names. */
export const VLLM: EngineMetrics = {
  waiting: specs("vllm:num_requests_waiting"),
  running: specs("vllm:num_requests_running"),
  kvUsage: specs("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
  lora: specs("vllm:lora_requests_info"),
  cacheInfo: specs("vllm:cache_config_info"),
  blockSizeLabel: "block_size",
  numBlocksLabel: "num_gpu_blocks",
};

const SGLANG: EngineMetrics = {
  waiting: specs("sglang:num_queue_reqs"),
  running: specs("sglang:num_running_reqs"),
  kvUsage: specs("sglang:token_usage"),
  lora: [],
  cacheInfo: specs("sglang:cache_config_info"),
  blockSizeLabel: "page_size",
  numBlocksLabel: "num_pages",
};

const ENGINE_LABELS = ["llm-d.ai/engine-type", "inference.networking.k8s.io/engine-type"];

/** The names for a pod by its engine label; vLLM's without one. */
export function engineOf(labels: Readonly<Record<string, string>>, vllm: EngineMetrics): EngineMetrics {
  return ENGINE_LABELS.some((name) => labels[name] === "sglang") ? SGLANG : vllm;
}

/** Series of the first name that the page has. */
function matching(page: Buffer, wanted: readonly MetricSpec[]): Series[] {
  for (const { name, labels } of wanted) {
    const found = seriesOf(page, name).filter((series) => labels.every(([key, value]) => series.label(key) === value));
    if (found.length > 0) return found;
  }
  return [];
}

/** The newest series; the first of equally old ones. */
function newest(series: readonly Series[], age: (series: Series) => number): Series | undefined {
  return series.reduce<Series | undefined>(
    (best, next) => (best === undefined || age(next) > age(best) ? next : best),
    undefined,
  );
}

const byTime = (series: Series): number => series.timestamp;
const byValue = (series: Series): number => series.value;

function integerOf(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && text !== "" && Number.isInteger(value) && value >= 0 ? value : undefined;
}

function namesOf(text: string | undefined): ReadonlySet<string> {
  const names = (text ?? "").split(",").map((name) => name.trim());
  return new Set(names.filter((name) => name !== ""));
}

/** Takes what the scheduler uses out of a metrics page. vLLM stores a timestamp as the value of its LoRA series. */
export function readSample(page: Buffer, engine: EngineMetrics): EndpointSample {
  const gauge = (wanted: readonly MetricSpec[]): number | undefined => newest(matching(page, wanted), byTime)?.value;
  const lora = newest(matching(page, engine.lora), byValue);
  const cache = newest(matching(page, engine.cacheInfo), byTime);
  return {
    waiting: gauge(engine.waiting),
    running: gauge(engine.running),
    kvUsage: gauge(engine.kvUsage),
    cacheBlockSize: integerOf(cache?.label(engine.blockSizeLabel)),
    cacheNumBlocks: integerOf(cache?.label(engine.numBlocksLabel)),
    maxActiveModels: integerOf(lora?.label("max_lora")),
    activeModels: lora && namesOf(lora.label("running_lora_adapters")),
    waitingModels: lora && namesOf(lora.label("waiting_lora_adapters")),
  };
}
