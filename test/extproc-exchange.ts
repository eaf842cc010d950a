import type { ExtProcContext } from "../scheduler/extproc/context.ts";
import { createExtProcMethod } from "../scheduler/extproc/stream.ts";
import { EndpointStore } from "../scheduler/datalayer/endpoint-store.ts";
import { loadConfig } from "../scheduler/config/load.ts";
import { createRequestMetrics } from "../scheduler/metrics/request-metrics.ts";
import { createParsers } from "../scheduler/parsers/parsers.ts";
import { createDirector, type DirectorOptions } from "../scheduler/request/director.ts";
import { createPipeline } from "../scheduler/scheduling/pipeline.ts";
import { silentLogger } from "../telemetry/log.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../telemetry/metrics.ts";
import { decodeMessage, encodeMessage, type Message } from "./extproc-client.ts";

/** How a call was ended by the server. */
export interface CallEnd {
  readonly status: number;
  readonly message: string | undefined;
}

/** One stream of an external processor, driven without a network. */
export interface Exchange {
  /** Hands a message over and returns what was answered at once. */
  send(request: Message): readonly Message[];
  sendBytes(bytes: Buffer): readonly Message[];
  halfClose(): void;
  cancel(): void;
  /** What was answered since the last look. */
  answers(): readonly Message[];
  readonly end: CallEnd | undefined;
  /** Bytes that the handler keeps of what it received. */
  readonly heldBytes: number;
}

/** Opens a stream that may hold so many bytes. */
export function openExchange(context: ExtProcContext, maxHeldBytes = Infinity): Exchange {
  const frames: Buffer[] = [];
  let heldBytes = 0;
  let end: CallEnd | undefined;
  const handler = createExtProcMethod(context)({
    send: (bytes) => {
      if (end === undefined) frames.push(bytes);
    },
    end: (status, message) => void (end ??= { status, message }),
    hold: (bytes) => {
      const fits = heldBytes + bytes <= maxHeldBytes;
      if (fits) heldBytes += bytes;
      return fits;
    },
  });
  const answers = (): readonly Message[] => framesOf(Buffer.concat(frames.splice(0)));
  const sendBytes = (bytes: Buffer): readonly Message[] => {
    if (end === undefined) handler.onMessage(bytes);
    return answers();
  };
  return {
    send: (request) => sendBytes(encodeMessage("ProcessingRequest", request)),
    sendBytes,
    halfClose: () => handler.onHalfClose(),
    cancel: () => handler.onCancel(),
    answers,
    get end() {
      return end;
    },
    get heldBytes() {
      return heldBytes;
    },
  };
}

/** The messages of framed gRPC bytes. */
export function framesOf(bytes: Buffer): Message[] {
  const found: Message[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    found.push(decodeMessage("ProcessingResponse", bytes.subarray(at + 5, at + 5 + length)));
    at += 5 + length;
  }
  return found;
}

/** A pod of a test pool. */
export interface TestPod {
  readonly address: string;
  readonly ports?: readonly number[];
  readonly waiting?: number;
  readonly kvUsage?: number;
}

/** The three pods that most tests route to: the second one is idle. */
export const PODS: readonly TestPod[] = [
  { address: "10.0.0.1", waiting: 3, kvUsage: 0.2 },
  { address: "10.0.0.2", waiting: 0, kvUsage: 0.1 },
  { address: "10.0.0.3", waiting: 10, kvUsage: 0.2 },
];

/** A store that holds pods `pod-0`, `pod-1`, … */
export function storeOf(pods: readonly TestPod[]): EndpointStore {
  const store = new EndpointStore();
  pods.forEach(({ address, ports = [8000], waiting = 0, kvUsage = 0 }, index) => {
    ports.forEach((port, rank) => {
      const hostPort = `${address.includes(":") ? `[${address}]` : address}:${port}`;
      const podName = `pod-${index}`;
      const place = { address, port, hostPort, metricsHost: hostPort, nodeAddress: "", rank, labels: {} };
      const slot = store.upsert({ namespace: "default", podName, name: `${podName}-rank-${rank}`, ...place });
      store.update(slot, store.generation[slot] ?? 0, { waiting, kvUsage }, 1);
    });
  });
  return store;
}

/** What a test scheduler is made from; everything has a default. */
export interface TestSetup {
  readonly pods?: readonly TestPod[];
  /** Text of an EndpointPickerConfig. */
  readonly config?: string;
  readonly director?: Partial<Pick<DirectorOptions, "policies" | "emitScores" | "logger" | "metrics">>;
  readonly context?: Partial<ExtProcContext>;
  readonly registry?: MetricsRegistry;
}

/** A protocol side over a real director; the clock moves on by 5 ms at each look. */
export function createTestContext(setup: TestSetup = {}): ExtProcContext {
  const { config, errors } = loadConfig(setup.config);
  if (config === undefined) throw new Error(JSON.stringify(errors));
  const registry = setup.registry ?? createMetricsRegistry();
  const store = storeOf(setup.pods ?? PODS);
  let time = 0;
  const now = (): number => (time += 5);
  const pipeline = createPipeline({
    config,
    endpoints: store,
    random: { next: () => 0.5 },
    logger: silentLogger,
    metrics: registry,
  });
  return {
    director: createDirector({ store, pipeline: () => pipeline, logger: silentLogger, now, ...setup.director }),
    parsers: createParsers(config.parserTypes),
    metrics: createRequestMetrics(registry),
    logger: silentLogger,
    now,
    newId: () => "generated-id",
    maxBodyBytes: 64 * 1024 * 1024,
    ignoreSubset: false,
    ...setup.context,
  };
}

/** An answer in the terms of what it makes the proxy do. */
export interface PlainAnswer {
  readonly kind: string;
  readonly set?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
  readonly clearRouteCache?: boolean;
  /** A streamed body part. */
  readonly part?: string;
  readonly endOfStream?: boolean;
  /** A replaced body. */
  readonly body?: string;
  readonly status?: number;
  readonly metadata?: unknown;
}

type Json = Readonly<Record<string, unknown>>;
const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null;
const member = (value: unknown, key: string): unknown => (isRecord(value) ? value[key] : undefined);

/** Puts an answer into plain terms; absent is what is empty. */
export function plain(answer: Message): PlainAnswer {
  const [kind = "none"] = Object.keys(answer).filter((key) => key !== "dynamic_metadata");
  const content = answer[kind];
  const common = member(content, "response") ?? content;
  const mutation = member(common, "header_mutation") ?? member(common, "headers");
  const streamed = member(member(common, "body_mutation"), "streamed_response");
  const text = (value: unknown): string | undefined =>
    typeof value === "string" || Buffer.isBuffer(value) ? value.toString() : undefined;
  const fields = {
    set: headersOf(member(mutation, "set_headers")),
    remove: member(mutation, "remove_headers"),
    clearRouteCache: member(common, "clear_route_cache"),
    part: streamed === undefined ? undefined : (text(member(streamed, "body")) ?? ""),
    endOfStream: member(streamed, "end_of_stream"),
    body: text(member(member(common, "body_mutation"), "body") ?? member(common, "body")),
    status: member(member(content, "status"), "code"),
    metadata: structOf(answer["dynamic_metadata"]),
  };
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return { kind, ...Object.fromEntries(present) } as PlainAnswer;
}

function headersOf(options: unknown): Readonly<Record<string, string>> | undefined {
  if (!Array.isArray(options)) return undefined;
  return Object.fromEntries(
    options.map((option: unknown) => {
      const header = member(option, "header");
      return [String(member(header, "key")), String(member(header, "raw_value"))] as const;
    }),
  );
}

function structOf(struct: unknown): unknown {
  const fields = member(struct, "fields");
  return isRecord(fields)
    ? Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, valueOf(value)]))
    : undefined;
}

function valueOf(value: unknown): unknown {
  return member(value, "string_value") ?? member(value, "number_value") ?? structOf(member(value, "struct_value"));
}
