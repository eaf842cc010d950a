import type { Alias, Counter, Family, Gauge, Histogram, MetricsRegistry } from "../../telemetry/metrics.ts";
import type { ChosenEndpoint, DroppedReason, Usage } from "../request/types.ts";
import { labelBudgetsOf } from "./label-budget.ts";

const G = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 120, 180, 240,
  300, 360, 480, 600, 900, 1200, 1800, 2700, 3600,
];
const SIZES = Array.from({ length: 25 }, (_, power) => 64 * 2 ** power);
// 32778 is the published bound; dashboards select buckets by it.
const RESPONSE = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32778, 65536];
const TOKENS = [...RESPONSE, 131072, 262144, 524288, 1048576];
const OUTPUT_TOKENS = RESPONSE.slice(0, 12);
const NTPOT = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const TPOT = [
  0.0005, 0.00205, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 2,
];
const ITL = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2];
const PROCESSING = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ANSWER_PROCESSING = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const M = ["model_name", "target_model_name", "fairness_id", "priority"];
const TWIN = ["model_name", "target_model_name"];
/** Label sets whose children are kept at hand. */
const MAX_KEPT = 4096;
/** Sets of models, fairness ids and priorities that get series of their own: thousands of tenants would make pages of 100 MB. */
const MAX_SETS = 2000;

/** What a request is counted under. */
export interface RequestLabels {
  readonly model: string;
  readonly targetModel: string;
  readonly fairnessId: string;
  readonly priority: number;
}

/** Labels of requests that no body tells about. */
export const NO_LABELS: RequestLabels = { model: "", targetModel: "", fairnessId: "default-flow", priority: 0 };

/** How an answer went, times in milliseconds. */
export interface Timing {
  readonly streaming: boolean;
  readonly durationMs: number;
  /** Until the first body byte; undefined without one. */
  readonly firstByteMs: number | undefined;
}

/** Series of one label set. */
export interface RequestSeries {
  /** A request was routed; `sizeBytes` is the body that goes out. */
  routed(sizeBytes: number): void;
  started(): void;
  stopped(): void;
  failed(code: string): void;
  /** Gap between chunks in milliseconds. */
  gap(ms: number): void;
  /** An answer is complete; `timing` is undefined where nobody saw when its request came. */
  answered(timing: Timing | undefined, responseBytes: number, usage: Usage | undefined): void;
}

/** The metrics that the protocol side keeps. */
export interface RequestMetrics {
  series(labels: RequestLabels): RequestSeries;
  /** An endpoint was chosen for a request of this model. */
  picked(endpoint: ChosenEndpoint, targetModel: string): void;
  /** Streams of the proxy that are open. */
  readonly openStreams: Gauge;
  /** Seconds from a request's headers until its body is handled. */
  readonly requestProcessing: Histogram;
  /** Seconds spent on the chunks of an answer. */
  readonly responseProcessing: Histogram;
  /** A request was refused with this reason. */
  dropped(reason: DroppedReason): void;
  /** A rule of an InferenceModelRewrite gave a request's model. */
  rewritten(rule: string, model: string, targetModel: string): void;
}

/** Registers the request families under their names of v0.9 and later, with the names of v0.4 as deprecated twins. */
export function createRequestMetrics(registry: MetricsRegistry): RequestMetrics {
  const families = createFamilies(registry);
  const picks = registry.counter({
    name: "endpoint_picker_picks_total",
    help: "Requests for which an endpoint was picked.",
    labels: ["target_model_name", "namespace", "pod", "port"],
  });
  const openStreams = registry.gauge({
    name: "endpoint_picker_open_streams",
    help: "ext_proc streams that are open.",
  });
  const requestProcessing = registry.histogram({
    name: "llm_d_epp_request_processing_duration_seconds",
    help: "[ALPHA] Time from a request's headers until its body is handled.",
    buckets: PROCESSING,
  });
  const responseProcessing = registry.histogram({
    name: "llm_d_epp_response_processing_duration_seconds",
    help: "[ALPHA] Time spent on the chunks of an answer.",
    buckets: ANSWER_PROCESSING,
  });
  const rewrites = registry.counter({
    name: "llm_d_epp_model_rewrite_decisions_total",
    help: "[ALPHA] Requests whose model a rewrite rule gave.",
    labels: ["model_rewrite_name", "model_name", "target_model"],
    aliases: [{ name: "inference_extension_model_rewrite_decisions_total" }],
  });
  const drops = registry.counter({
    name: "endpoint_picker_dropped_total",
    help: "Requests that were dropped, by reason.",
    labels: ["reason"],
  });
  const { models, fairnessIds } = labelBudgetsOf(registry);
  const kept = new Map<string, RequestSeries>();
  return {
    openStreams: openStreams.labels(),
    requestProcessing: requestProcessing.labels(),
    responseProcessing: responseProcessing.labels(),
    dropped: (reason) => drops.labels(reason).inc(),
    rewritten: (rule, model, targetModel) =>
      rewrites.labels(rule, models.admit(model), models.admit(targetModel)).inc(),
    picked: ({ namespace, podName, port }, targetModel) =>
      picks.labels(models.admit(targetModel), namespace, podName, String(port)).inc(),
    series: ({ model, targetModel, fairnessId, priority }) => {
      const values = [models.admit(model), models.admit(targetModel), fairnessIds.admit(fairnessId), String(priority)];
      const key = values.join("\n");
      const known = kept.get(key);
      if (known !== undefined) return known;
      if (kept.size >= MAX_KEPT) kept.clear();
      const series = new Series(families, values);
      kept.set(key, series);
      return series;
    },
  };
}

type Families = ReturnType<typeof createFamilies>;

function createFamilies(registry: MetricsRegistry) {
  const twin = (name: string, labels: Alias["labels"] = TWIN): Alias[] => [
    { name: `inference_objective_${name}`, ...(labels === undefined ? {} : { labels }) },
  ];
  const counter = (name: string, help: string, labels: readonly string[], aliases: readonly Alias[]) =>
    registry.counter({ name: `llm_d_epp_${name}`, help: `[ALPHA] ${help}`, labels, aliases, maxSeries: MAX_SETS });
  const histogram = (name: string, help: string, buckets: readonly number[], old?: string, labels = M) =>
    registry.histogram({
      name: `llm_d_epp_${name}`,
      help: `[ALPHA] ${help}`,
      labels,
      buckets,
      maxSeries: MAX_SETS,
      ...(old === undefined ? {} : { aliases: twin(old) }),
    });
  return {
    total: counter("request_total", "Requests that were routed.", M, [
      ...twin("request_total", [...TWIN, "priority"]),
      { name: "endpoint_picker_requests_total", help: "Requests that were routed." },
    ]),
    errors: counter(
      "request_error_total",
      "Requests that failed, by code.",
      [...M, "error_code"],
      [
        ...twin("request_error_total", [...TWIN, "error_code"]),
        { name: "endpoint_picker_request_errors_total", help: "Requests that failed, by code." },
      ],
    ),
    running: registry.gauge({
      name: "llm_d_epp_request_running",
      help: "[ALPHA] Requests that were routed and are not answered yet.",
      labels: M,
      maxSeries: MAX_SETS,
      aliases: twin("running_requests", ["model_name"]),
    }),
    duration: histogram(
      "request_duration_seconds",
      "Time from receipt to the end of the answer.",
      G,
      "request_duration_seconds",
    ),
    requestSize: histogram("request_size_bytes", "Size of request bodies.", SIZES, "request_sizes"),
    responseSize: histogram("response_size_bytes", "Size of answer bodies.", RESPONSE, "response_sizes"),
    input: histogram("request_input_tokens", "Tokens of prompts.", TOKENS, "input_tokens"),
    output: histogram("request_output_tokens", "Tokens of answers.", OUTPUT_TOKENS, "output_tokens"),
    cached: histogram("request_cached_tokens", "Tokens of prompts that were cached.", TOKENS, "prompt_cached_tokens"),
    ntpot: histogram(
      "request_ntpot_seconds",
      "Duration for each token of the answer.",
      NTPOT,
      "normalized_time_per_output_token_seconds",
    ),
    ttft: histogram(
      "request_ttft_seconds",
      "Time until the first byte of the answer.",
      G.filter((bound) => bound <= 120),
      "request_ttft_seconds",
      [...M, "streaming"],
    ),
    tpot: histogram(
      "request_streaming_tpot_seconds",
      "Time for each token after the first, of streamed answers.",
      TPOT,
      "request_tpot_seconds",
    ),
    itl: histogram("request_streaming_itl_seconds", "Time between chunks of streamed answers.", ITL),
  };
}

class Series implements RequestSeries {
  readonly #values: readonly string[];
  readonly #families: Families;
  readonly #total: Counter;
  readonly #running: Gauge;
  readonly #requestSize: Histogram;
  #answer: AnswerSeries | undefined;

  constructor(families: Families, values: readonly string[]) {
    this.#values = values;
    this.#families = families;
    this.#total = families.total.labels(...values);
    this.#running = families.running.labels(...values);
    this.#requestSize = families.requestSize.labels(...values);
  }

  routed(sizeBytes: number): void {
    this.#total.inc();
    this.#requestSize.observe(sizeBytes);
  }

  started(): void {
    this.#running.inc();
  }

  stopped(): void {
    this.#running.dec();
  }

  failed(code: string): void {
    this.#families.errors.labels(...this.#values, code).inc();
  }

  gap(ms: number): void {
    this.#answers().itl.observe(ms / 1000);
  }

  answered(timing: Timing | undefined, responseBytes: number, usage: Usage | undefined): void {
    const answer = this.#answers();
    answer.responseSize.observe(responseBytes);
    if (timing !== undefined) observeTiming(answer, timing);
    if (usage !== undefined) observeUsage(answer, timing, usage);
  }

  #answers(): AnswerSeries {
    this.#answer ??= answerSeries(this.#families, this.#values);
    return this.#answer;
  }
}

type AnswerSeries = ReturnType<typeof answerSeries>;

function answerSeries(families: Families, values: readonly string[]) {
  const child = (family: Family<Histogram>) => family.labels(...values);
  return {
    duration: child(families.duration),
    responseSize: child(families.responseSize),
    input: child(families.input),
    output: child(families.output),
    cached: child(families.cached),
    ntpot: child(families.ntpot),
    tpot: child(families.tpot),
    itl: child(families.itl),
    ttft: { true: families.ttft.labels(...values, "true"), false: families.ttft.labels(...values, "false") },
  };
}

function observeTiming(answer: AnswerSeries, { streaming, durationMs, firstByteMs }: Timing): void {
  if (durationMs > 0) answer.duration.observe(durationMs / 1000);
  const first = streaming ? firstByteMs : durationMs;
  if (firstByteMs !== undefined && first !== undefined && first > 0)
    answer.ttft[streaming ? "true" : "false"].observe(first / 1000);
}

function observeUsage(answer: AnswerSeries, timing: Timing | undefined, usage: Usage): void {
  const { promptTokens = 0, completionTokens = 0, cachedTokens } = usage;
  if (promptTokens > 0) answer.input.observe(promptTokens);
  if (cachedTokens !== undefined) answer.cached.observe(cachedTokens);
  if (completionTokens <= 0) return;
  answer.output.observe(completionTokens);
  if (timing === undefined) return;
  const { streaming, durationMs, firstByteMs } = timing;
  answer.ntpot.observe(durationMs / 1000 / completionTokens);
  if (streaming && completionTokens > 1 && firstByteMs !== undefined)
    answer.tpot.observe((durationMs - firstByteMs) / 1000 / (completionTokens - 1));
}
