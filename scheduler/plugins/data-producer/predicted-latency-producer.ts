import type { Cycle, Ticket } from "../../framework/cycle.ts";
import {
  type DataUse,
  grown,
  IN_FLIGHT_LOAD,
  LATENCY_PREDICTION,
  MULTIMODAL_MATCH,
  PREFIX_MATCH,
  producerName,
  TOKENIZED_PROMPT,
} from "../../framework/data.ts";
import { bool, durationMs, number, object, retired, text } from "../../framework/parameters.ts";
import { definePlugin, type PluginContext } from "../../framework/plugin.ts";
import { sloOf } from "../latency-objectives.ts";
import { createLatencyMetrics } from "./latency-metrics.ts";
import {
  type Latency,
  type LatencyFeatures,
  latencyServiceOptions,
  predict,
  train,
  type TrainingRow,
} from "./latency-service.ts";

const parameters = object({
  sloBufferFactor: number({ doc: "Factor on the objective per token.", default: 1, above: 0 }),
  contextTTL: durationMs({ doc: "Accepted; requests are followed to their end.", default: 300_000, above: 0 }),
  streamingMode: bool({ doc: "Whether the time per token is predicted.", default: false }),
  endpointRoleLabel: text({ doc: "Label that is sent as the kind of pod.", default: "" }),
  predictInProduce: bool({ doc: "Whether to predict; false: only measure.", default: true }),
  prefixMatchInfoProducerName: producerName(PREFIX_MATCH),
  inFlightLoadProducerName: producerName(IN_FLIGHT_LOAD),
  encoderCacheMatchInfoProducerName: producerName(MULTIMODAL_MATCH),
  useEncoderCacheFeatures: bool({ doc: "Whether cached embeddings count.", default: false }),
  samplingMean: retired("nothing is sampled"),
  maxDecodeTokenSamplesForPrediction: retired("nothing is sampled"),
});
type Parameters = typeof parameters.fallback;

const TOKENS: DataUse = { key: TOKENIZED_PROMPT, producer: "token-producer" };
const TYPE = "predicted-latency-producer";
const MAX_ROWS = 1000;

/** Predictions for the candidates of a request. */
interface Predicted {
  readonly slots: readonly number[];
  readonly generations: readonly number[];
  readonly latencies: readonly Latency[];
  /** How long it took to get them, in ms. */
  readonly askedMs: number;
}

/** What is remembered of a request under way. */
interface Running {
  readonly slot: number;
  readonly generation: number;
  readonly ttftSlo: number;
  readonly tpotSlo: number;
  readonly features: LatencyFeatures;
  readonly startedAtMs: number;
  firstAtMs: number | undefined;
}

function uses(given: Parameters): readonly DataUse[] {
  return [
    TOKENS,
    { key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName },
    { key: IN_FLIGHT_LOAD, producer: given.inFlightLoadProducerName },
    ...(given.useEncoderCacheFeatures
      ? [{ key: MULTIMODAL_MATCH, producer: given.encoderCacheMatchInfoProducerName }]
      : []),
  ];
}

/** Reads the features of an endpoint for the request that is being decided. */
function featureReader(given: Parameters, context: PluginContext): (cycle: Cycle, slot: number) => LatencyFeatures {
  const tokens = context.data(TOKENIZED_PROMPT, TOKENS.producer);
  const prefix = context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName);
  const load = context.data(IN_FLIGHT_LOAD, given.inFlightLoadProducerName);
  const media = context.data(MULTIMODAL_MATCH, given.encoderCacheMatchInfoProducerName);
  return (cycle, slot) => {
    const { endpoints } = cycle;
    const { match, totalBlocks } = prefix.of(cycle);
    const role = given.endpointRoleLabel === "" ? undefined : endpoints.metadata(slot).labels[given.endpointRoleLabel];
    return {
      kv_cache_percentage: endpoints.kvUsage[slot] ?? 0,
      input_token_length: tokens.of(cycle).tokenCount,
      num_request_waiting: endpoints.waiting[slot] ?? 0,
      num_request_running: load.of(cycle).requests[slot] ?? endpoints.running[slot] ?? 0,
      num_tokens_generated: 1,
      prefix_cache_score: totalBlocks === 0 ? 0 : (match[slot] ?? 0) / totalBlocks,
      encoder_input_size: given.useEncoderCacheFeatures ? media.of(cycle).requested : 0,
      encoder_matched_size: given.useEncoderCacheFeatures ? (media.of(cycle).matched[slot] ?? 0) : 0,
      prefill_tokens_in_flight: load.of(cycle).tokens[slot] ?? 0,
      decode_tokens_in_flight: 0,
      ...(role === undefined ? {} : { pod_type: role }),
    };
  };
}

/** Asks a service how fast each endpoint would answer, and tells it how fast they did. */
export const predictedLatencyProducer = definePlugin({
  type: TYPE,
  kinds: ["data-producer", "pre-request", "response-header", "response-body"],
  stability: "beta",
  description: "Asks a service how fast each endpoint would answer, and tells it how fast they did.",
  parameters,
  consumes: uses,
  produces: [LATENCY_PREDICTION],
  create: (given, context) => {
    const options = latencyServiceOptions(context.environment);
    const metrics = createLatencyMetrics(context, TYPE);
    const handle = context.data(LATENCY_PREDICTION, context.name);
    const featuresOf = featureReader(given, context);
    const { running, rows } = context.keep(() => ({
      running: new Map<Ticket, Running>(),
      rows: new Array<TrainingRow>(),
    }));
    let isSending = false;

    const runningOn = (slot: number): Running[] => [...running.values()].filter((other) => other.slot === slot);
    const tpotLimit = (slot: number, slo: number): number => {
      const others = runningOn(slot).map(({ tpotSlo }) => tpotSlo);
      return Math.min(slo, ...others.filter((other) => other > 0)) * given.sloBufferFactor;
    };
    const send = (): void => {
      if (isSending || rows.length === 0) return;
      const entries = rows.splice(0);
      isSending = true;
      train(entries, options, context.fetch)
        .catch((error: unknown) => context.logger.v(4, "latencies could not be handed over", { error }))
        .finally(() => void (isSending = false));
    };
    const fill = (cycle: Cycle, { slots, generations, latencies }: Predicted): void => {
      const record = handle.of(cycle);
      const { headers, body } = cycle.request;
      slots.forEach((slot, index) => {
        const latency = latencies[index];
        if (latency === undefined || cycle.endpoints.generation[slot] !== generations[index]) return;
        record.ttftMs[slot] = latency.ttftMs;
        record.tpotMs[slot] = latency.tpotMs;
        record.ttftHeadroomMs[slot] = sloOf(headers, "ttft") - latency.ttftMs;
        const role = cycle.endpoints.metadata(slot).labels[given.endpointRoleLabel];
        const measured = given.streamingMode && body.stream && role !== "prefill";
        record.tpotHeadroomMs[slot] = measured ? tpotLimit(slot, sloOf(headers, "tpot")) - latency.tpotMs : 0;
      });
    };
    return {
      ...(given.predictInProduce
        ? {
            prepare: async (cycle: Cycle, signal: AbortSignal): Promise<Predicted> => {
              const slots = Array.from(cycle.candidates.subarray(0, cycle.candidateCount));
              const generations = slots.map((slot) => cycle.endpoints.generation[slot] ?? 0);
              const features = slots.map((slot) => featuresOf(cycle, slot));
              const draw = cycle.random.next();
              const beganAtMs = context.now();
              const latencies = await predict(features, options, context.fetch, signal, draw);
              return { slots, generations, latencies, askedMs: context.now() - beganAtMs };
            },
          }
        : {}),
      produce: (cycle) => {
        const record = handle.of(cycle);
        const { capacity } = cycle.endpoints;
        for (const column of ["ttftMs", "tpotMs", "ttftHeadroomMs", "tpotHeadroomMs"] as const)
          record[column] = grown(record[column], capacity).fill(NaN);
        record.dispatched = grown(record.dispatched, capacity).fill(0);
        for (const { slot } of running.values()) record.dispatched[slot] = (record.dispatched[slot] ?? 0) + 1;
        // `prepare` of this instance made it.
        const predicted = cycle.prepared[context.index] as Predicted | undefined;
        record.known = predicted !== undefined;
        if (predicted !== undefined) fill(cycle, predicted);
      },
      preRequest: (cycle, { ticket }) => {
        const { request } = cycle;
        // `prepare` of this instance made it.
        const predicted = cycle.prepared[context.index] as Predicted | undefined;
        const latency = predicted?.latencies[predicted.slots.indexOf(ticket.slot)];
        if (predicted !== undefined && latency !== undefined) {
          metrics.predicted(request, "ttft", latency.ttftMs, predicted.askedMs);
          metrics.predicted(request, "tpot", latency.tpotMs, predicted.askedMs);
        }
        running.set(ticket, {
          slot: ticket.slot,
          generation: ticket.generation,
          ttftSlo: sloOf(request.headers, "ttft"),
          tpotSlo: sloOf(request.headers, "tpot"),
          features: featuresOf(cycle, ticket.slot),
          startedAtMs: cycle.nowMs,
          firstAtMs: undefined,
        });
      },
      onComplete: (ticket, { termination, usage, firstByteMs, durationMs }) => {
        const own = running.get(ticket);
        running.delete(ticket);
        if (own === undefined || termination !== "natural") return;
        const tokens = usage?.completionTokens ?? 0;
        const ttft = given.streamingMode ? (firstByteMs ?? durationMs) : durationMs;
        const tpot = given.streamingMode && tokens > 1 ? (durationMs - ttft) / (tokens - 1) : 0;
        metrics.measured(ticket.request, "ttft", ttft, own.ttftSlo);
        if (tpot > 0) metrics.measured(ticket.request, "tpot", tpot, own.tpotSlo);
        if (rows.length >= MAX_ROWS) return;
        const timestamp = new Date().toISOString();
        rows.push({ ...own.features, actual_ttft_ms: ttft, actual_tpot_ms: tpot, timestamp });
        send();
      },
      dumpState: () => ({ trackedRequests: running.size, unsentRows: rows.length }),
    };
  },
});
