/** The services that predict latencies and learn from measured ones. */
import { isRecord } from "../../framework/parameters.ts";

/** What a prediction is made from; names are those of the service. */
export interface LatencyFeatures {
  readonly kv_cache_percentage: number;
  readonly input_token_length: number;
  readonly num_request_waiting: number;
  readonly num_request_running: number;
  readonly num_tokens_generated: number;
  readonly prefix_cache_score: number;
  readonly encoder_input_size: number;
  readonly encoder_matched_size: number;
  readonly prefill_tokens_in_flight: number;
  readonly decode_tokens_in_flight: number;
  readonly pod_type?: string;
}

/** Predicted latencies in ms. */
export interface Latency {
  readonly ttftMs: number;
  readonly tpotMs: number;
}

/** A measured request. */
export type TrainingRow = LatencyFeatures & {
  readonly actual_ttft_ms: number;
  readonly actual_tpot_ms: number;
  readonly timestamp: string;
};

/** Where the services are and how they are asked. */
export interface LatencyServiceOptions {
  readonly trainingUrl: string;
  readonly predictionUrls: readonly string[];
  readonly timeoutMs: number;
  readonly maxBulk: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

function numberOf(environment: Environment, name: string, fallback: number, max: number): number {
  const value = Number(environment[name]);
  return environment[name] !== undefined && value > 0 ? Math.min(value, max) : fallback;
}

/** Reads the settings from the environment of the process. */
export function latencyServiceOptions(environment: Environment): LatencyServiceOptions {
  const urls = (environment["PREDICTION_SERVER_URL"] ?? "http://localhost:8001").split(",");
  return {
    trainingUrl: environment["TRAINING_SERVER_URL"] ?? "http://localhost:8000",
    predictionUrls: urls.map((url) => url.trim()).filter((url) => url !== ""),
    timeoutMs: numberOf(environment, "LATENCY_HTTP_TIMEOUT_SEC", 10, 600) * 1000,
    maxBulk: numberOf(environment, "LATENCY_MAX_BULK_SIZE", 100, 100),
  };
}

async function post(
  url: string,
  body: unknown,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}

/** Predicts every row, in requests of at most `maxBulk` rows. `draw` in [0, 1) chooses the server. */
export async function predict(
  rows: readonly LatencyFeatures[],
  { predictionUrls, timeoutMs, maxBulk }: LatencyServiceOptions,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
  draw: number,
): Promise<readonly Latency[]> {
  const url = predictionUrls[Math.floor(draw * predictionUrls.length)] ?? "";
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const chunks = Array.from({ length: Math.ceil(rows.length / maxBulk) }, (_, index) =>
    rows.slice(index * maxBulk, (index + 1) * maxBulk),
  );
  const answers = await Promise.all(
    chunks.map(async (requests) => {
      const response = await post(`${url}/predict/bulk/strict`, { requests }, fetch, limit);
      return latenciesOf(await response.json(), requests.length);
    }),
  );
  return answers.flat();
}

function latenciesOf(answer: unknown, count: number): readonly Latency[] {
  const predictions = isRecord(answer) ? answer["predictions"] : undefined;
  if (!Array.isArray(predictions) || predictions.length !== count)
    throw new Error(`the prediction has not ${count} rows`);
  return predictions.map((row: unknown) => {
    const { ttft_ms: ttftMs, tpot_ms: tpotMs } = isRecord(row) ? row : {};
    if (typeof ttftMs !== "number" || typeof tpotMs !== "number") throw new Error("a prediction has no latencies");
    return { ttftMs, tpotMs };
  });
}

/** Hands measured requests to the training service. */
export async function train(
  entries: readonly TrainingRow[],
  { trainingUrl, timeoutMs }: LatencyServiceOptions,
  fetch: typeof globalThis.fetch,
): Promise<void> {
  await post(`${trainingUrl}/add_training_data_bulk`, { entries }, fetch, AbortSignal.timeout(timeoutMs));
}
