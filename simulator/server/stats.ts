import type { Engine, EngineCounters } from "../engine/engine.ts";
import type { SimulatorOptions } from "./options.ts";

/** Why a request ended, as vLLM labels it; the last two as llm-d-inference-sim does. */
export type FinishedReason = "stop" | "length" | "abort" | "remote_decode" | "cache_threshold";

/** Times of a finished request in seconds, and its size. */
export interface RequestFigures {
  readonly reason: FinishedReason;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly queueSeconds: number;
  readonly firstTokenSeconds: number;
  readonly totalSeconds: number;
}

const LATENCY = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];
const FIRST_TOKEN = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
];
const PER_TOKEN = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
const TOKENS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

class Distribution {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const bucket = this.bounds.findIndex((bound) => value <= bound);
    this.counts[bucket < 0 ? this.bounds.length : bucket]!++;
    this.sum += value;
  }
}

/** The figures that vLLM publishes about its requests, and the page that shows them with the engine's gauges. */
export class Stats {
  readonly #finished: Partial<Record<FinishedReason, number>> = { stop: 0, length: 0, abort: 0 };
  readonly #distributions = {
    "vllm:request_prompt_tokens": new Distribution(TOKENS),
    "vllm:request_generation_tokens": new Distribution(TOKENS),
    "vllm:time_to_first_token_seconds": new Distribution(FIRST_TOKEN),
    "vllm:inter_token_latency_seconds": new Distribution(PER_TOKEN),
    "vllm:request_time_per_output_token_seconds": new Distribution(PER_TOKEN),
    "vllm:e2e_request_latency_seconds": new Distribution(LATENCY),
    "vllm:request_queue_time_seconds": new Distribution(LATENCY),
  };

  /** Records the gap between two tokens of one request, in seconds. */
  recordGap(seconds: number): void {
    this.#distributions["vllm:inter_token_latency_seconds"].observe(seconds);
  }

  recordFinished(figures: RequestFigures): void {
    const { reason } = figures;
    this.#finished[reason] = (this.#finished[reason] ?? 0) + 1;
    if (reason === "abort" || reason === "cache_threshold") return;
    const { generatedTokens, firstTokenSeconds, totalSeconds } = figures;
    const distributions = this.#distributions;
    const observe = (name: keyof typeof distributions, value: number) => distributions[name].observe(value);
    observe("vllm:request_prompt_tokens", figures.promptTokens);
    observe("vllm:request_generation_tokens", generatedTokens);
    observe("vllm:time_to_first_token_seconds", firstTokenSeconds);
    observe("vllm:e2e_request_latency_seconds", totalSeconds);
    observe("vllm:request_queue_time_seconds", figures.queueSeconds);
    if (generatedTokens > 1)
      observe("vllm:request_time_per_output_token_seconds", (totalSeconds - firstTokenSeconds) / (generatedTokens - 1));
  }

  /** Text exposition of everything, in the names and labels of vLLM V1. `unixSeconds` dates the adapter series. */
  render(engine: Engine, options: SimulatorOptions, unixSeconds: number): string {
    const labels = `engine="0",model_name="${escapeLabel(options.servedModelNames[0] ?? "")}"`;
    const page = new Page(labels);
    const { counters } = engine;
    page.add("vllm:num_requests_running", "gauge", "Requests in the batch.", engine.runningCount);
    page.add("vllm:num_requests_waiting", "gauge", "Requests waiting for the batch.", engine.waitingCount);
    page.add("vllm:kv_cache_usage_perc", "gauge", "Share of the KV cache in use, 0 to 1.", engine.pool.usageRatio);
    page.add("vllm:prefix_cache_queries_total", "counter", "Prompt tokens looked up.", counters.prefixQueryTokens);
    page.add("vllm:prefix_cache_hits_total", "counter", "Prompt tokens found cached.", counters.prefixHitTokens);
    const { externalQueryTokens, externalHitTokens } = counters;
    page.add("vllm:external_prefix_cache_queries_total", "counter", "Tokens asked of connectors.", externalQueryTokens);
    page.add("vllm:external_prefix_cache_hits_total", "counter", "Tokens got by connectors.", externalHitTokens);
    page.add("vllm:num_preemptions_total", "counter", "Requests put back for want of blocks.", counters.preemptions);
    page.add("vllm:prompt_tokens_total", "counter", "Prompt tokens processed.", counters.promptTokens);
    page.addEach("vllm:prompt_tokens_by_source_total", "counter", "Where they came from.", "source", sources(counters));
    page.add("vllm:generation_tokens_total", "counter", "Tokens generated.", counters.generationTokens);
    page.addEach("vllm:request_success_total", "counter", "Finished requests.", "finished_reason", this.#finished);
    for (const [name, distribution] of Object.entries(this.#distributions)) page.addHistogram(name, distribution);
    page.addInfo("vllm:cache_config_info", cacheLabels(options), 1);
    if (options.loraModules.length > 0)
      page.addInfo("vllm:lora_requests_info", loraLabels(engine, options), unixSeconds);
    return page.text();
  }
}

/** Prompt tokens by where their KV blocks came from. */
function sources({ promptTokens, prefixHitTokens, externalHitTokens }: EngineCounters): Record<string, number> {
  return {
    local_compute: promptTokens - prefixHitTokens - externalHitTokens,
    local_cache_hit: prefixHitTokens,
    external_kv_transfer: externalHitTokens,
  };
}

class Page {
  readonly #lines: string[] = [];
  readonly #labels: string;

  constructor(labels: string) {
    this.#labels = labels;
  }

  add(name: string, type: string, help: string, value: number): void {
    this.#head(name, type, help);
    this.#lines.push(`${name}{${this.#labels}} ${pythonFloat(value)}`);
  }

  addEach(name: string, type: string, help: string, label: string, values: Readonly<Record<string, number>>): void {
    this.#head(name, type, help);
    for (const [key, value] of Object.entries(values))
      this.#lines.push(`${name}{${this.#labels},${label}="${key}"} ${pythonFloat(value)}`);
  }

  addHistogram(name: string, { bounds, counts, sum }: Distribution): void {
    this.#head(name, "histogram", "Distribution over requests.");
    let cumulative = 0;
    for (const [index, count] of counts.entries()) {
      cumulative += count;
      const bound = index < bounds.length ? pythonFloat(bounds[index]!) : "+Inf";
      this.#lines.push(`${name}_bucket{${this.#labels},le="${bound}"} ${pythonFloat(cumulative)}`);
    }
    this.#lines.push(`${name}_sum{${this.#labels}} ${pythonFloat(sum)}`);
    this.#lines.push(`${name}_count{${this.#labels}} ${pythonFloat(cumulative)}`);
  }

  addInfo(name: string, labels: string, value: number): void {
    this.#head(name, "gauge", "Settings and state as labels.");
    this.#lines.push(`${name}{${labels}} ${pythonFloat(value)}`);
  }

  text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  #head(name: string, type: string, help: string): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  }
}

function cacheLabels({ blockSize, numGpuBlocks, enablePrefixCaching }: SimulatorOptions): string {
  const caching = enablePrefixCaching ? "True" : "False";
  return `block_size="${blockSize}",enable_prefix_caching="${caching}",engine="0",num_gpu_blocks="${numGpuBlocks}"`;
}

function loraLabels(engine: Engine, { maxLoras }: SimulatorOptions): string {
  const { running, waiting } = engine.adapters;
  const list = (names: readonly string[]) => escapeLabel(names.join(","));
  return `max_lora="${maxLoras}",running_lora_adapters="${list(running)}",waiting_lora_adapters="${list(waiting)}"`;
}

function pythonFloat(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
