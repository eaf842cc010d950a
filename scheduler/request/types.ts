import type { Span } from "../../telemetry/tracing.ts";

/**
 * The seam between the protocol side of the scheduler (`server`, `extproc`, parsers) and its deciding side
 * (`director`, `scheduling`, `plugins`, `datalayer`): plain data and one interface.
 */

/** APIs a parser tells apart; `raw` is a body that no parser claims and that is passed through, unread. */
export type RequestApi =
  | "chat"
  | "completions"
  | "embeddings"
  | "responses"
  | "conversations"
  | "images"
  | "messages"
  | "count-tokens"
  | "generate"
  | "sglang"
  | "vertex-chat"
  | "vertex-responses"
  | "vllm-grpc"
  | "vllm-grpc-embed"
  | "vllm-grpc-other"
  | "raw";

/** An image, video or audio part of a prompt. */
export interface MediaPart {
  readonly modality: "image" | "video" | "audio";
  /** What identifies it: its URL, a data URL, or data and format of audio. */
  readonly content: Buffer;
}

/** What stands for a part in the prompt's bytes: `count` tokens, all of them `word`. */
export type MediaEstimate = (part: MediaPart) => { readonly word: number; readonly count: number };

/**
 * What a parser found in a request body. Everything but the scalar fields is computed on first use, so that a request
 * no plugin looks into costs one byte scan.
 */
export interface ParsedBody {
  readonly api: RequestApi;
  /** The `model` member when it is a JSON string, else "". */
  readonly model: string;
  /** True only for the literal `"stream": true`. */
  readonly stream: boolean;
  /** Limit of generated tokens that the request states, if any. */
  readonly maxOutputTokens: number | undefined;
  /** `cache_salt`, else "". */
  readonly cacheSalt: string;
  /** Body length in bytes. */
  readonly sizeBytes: number;
  /** The body as received. */
  readonly bytes: Buffer;
  /**
   * One buffer of prompt bytes for each prompt, as the estimating tokenizer of the endpoint picker sees it
   * (spec: token-producer, backend `estimate`). Empty for `raw`. Unescaped UTF-8. `estimate` tells what stands for images,
   * video and audio; without it what was made last, or one token for each.
   */
  promptBytes(estimate?: MediaEstimate): readonly Buffer[];
  /** Images, video and audio of the messages. */
  media(): readonly MediaPart[];
  /** Token ids for each prompt where the request carries ids itself, else undefined. */
  promptTokenIds(): readonly Uint32Array[] | undefined;
  /** The whole body as a JSON value: the slow way, for plugins that need more than the fields above. */
  json(): unknown;
}

/** Request headers, lower-case names; the last of duplicates wins. */
export type Headers = ReadonlyMap<string, string>;

/** A request whose decision is to be kept and logged says so with this header. */
export const EXPLAIN_HEADER = "x-llm-d-explain";

/** An incoming request, complete and parsed, before any decision. */
export interface IncomingRequest {
  /** `x-request-id`, generated when absent. */
  readonly id: string;
  /** Path without its query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: ParsedBody;
  /** Endpoints that the proxy limits the choice to (`ip:port` or `ip`); undefined: the whole pool. */
  readonly subset: readonly string[] | undefined;
  /** What the proxy tells about the request in `attributes`, by namespace; decoded when called. */
  attributes?(): ReadonlyMap<string, ReadonlyMap<string, AttributeValue>>;
  /** Span of the decision about the request; undefined where it is not traced. */
  readonly span?: Span | undefined;
  /** Monotonic milliseconds when the headers arrived. */
  readonly receivedAtMs: number;
  /** Aborted when the client or the proxy goes away before a decision. */
  readonly signal: AbortSignal;
}

/** A request that needs no decision: nothing but its headers tells about it. */
export type BodylessRequest = Pick<IncomingRequest, "id" | "headers" | "subset">;

/** Canonical codes of a refused request and the HTTP status that each stands for. */
export const REQUEST_ERROR_STATUS = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  PreconditionFailed: 412,
  PayloadTooLarge: 413,
  ResourceExhausted: 429,
  Internal: 500,
  ServiceUnavailable: 503,
} as const;

export type RequestErrorCode = keyof typeof REQUEST_ERROR_STATUS;

/** Why a request was dropped: the value of the header `x-llm-d-request-dropped-reason`. */
export type DroppedReason =
  | "rejected-saturated"
  | "rejected-no-endpoints"
  | "rejected-ttl-expired"
  | "rejected-context-cancelled"
  | "rejected-shutting-down"
  | "evicted"
  | "evicted-queue-pressure"
  | "evicted-priority";

/** A refusal with a documented HTTP answer. Anything else that is thrown ends the stream with a gRPC status. */
export class RequestError extends Error {
  readonly code: RequestErrorCode;
  readonly droppedReason: DroppedReason | undefined;

  constructor(code: RequestErrorCode, message: string, droppedReason?: DroppedReason) {
    super(message);
    this.name = "RequestError";
    this.code = code;
    this.droppedReason = droppedReason;
  }

  get httpStatus(): number {
    return REQUEST_ERROR_STATUS[this.code];
  }
}

/** Identity of a chosen endpoint for logs and metric labels. */
export interface ChosenEndpoint {
  /** Pod name. */
  readonly podName: string;
  readonly namespace: string;
  /** `ip:port`, IPv6 in brackets. */
  readonly address: string;
  readonly port: number;
}

/** What the director decided for one request. */
export interface RoutingDecision {
  /** Handle that the response hooks get back; opaque to the protocol side. */
  readonly ticket: unknown;
  readonly endpoint: ChosenEndpoint;
  /** Value of the destination header and of its dynamic metadata: `ip:port[,ip:port…]`, preferred first. */
  readonly destination: string;
  readonly incomingModel: string;
  /** Model after rewrite; differs from `incomingModel` when the body has to be rewritten. */
  readonly targetModel: string;
  readonly fairnessId: string;
  readonly priority: number;
  /** Name of the InferenceModelRewrite that gave the target model, if one did. */
  readonly rewrittenBy?: string | undefined;
  /** Headers to add or overwrite besides the destination, in order. */
  readonly setHeaders: readonly HeaderChange[];
  /** Headers of the client to take out. */
  readonly removeHeaders?: readonly string[] | undefined;
  /** Dynamic metadata for the proxy besides the destination. */
  readonly metadata?: Metadata | undefined;
  /** Calls back once the request, already routed, has to make room; absent: it is never evicted. */
  readonly onEvicted?: ((evict: (reason: DroppedReason) => void) => void) | undefined;
  /** Weighted totals of the primary profile by `ip:port`; present only when asked for. */
  readonly scores: ReadonlyMap<string, number> | undefined;
}

/** A header to add or overwrite. */
export type HeaderChange = readonly [name: string, value: string];

/** A value of dynamic metadata. */
export type MetadataValue = string | number | ReadonlyMap<string, MetadataValue>;

/** A value that the proxy tells, as google.protobuf.Value has it. */
export type AttributeValue =
  | string
  | number
  | boolean
  | null
  | readonly AttributeValue[]
  | ReadonlyMap<string, AttributeValue>;

/** Dynamic metadata by namespace, such as `envoy.lb`. */
export type Metadata = ReadonlyMap<string, ReadonlyMap<string, MetadataValue>>;

/** Token counts of an answer; a field is undefined when the answer did not tell. */
export interface Usage {
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
  readonly totalTokens: number | undefined;
  readonly cachedTokens: number | undefined;
}

/** How a routed request ended. */
export type Termination = "natural" | "client-disconnect" | "error" | "evicted";

/** Facts of a finished answer, for the completion hooks. */
export interface ResponseSummary {
  readonly termination: Termination;
  readonly status: number | undefined;
  readonly usage: Usage | undefined;
  readonly responseBytes: number;
  /** Milliseconds from the request's headers to the answer's first body byte; undefined without a body byte. */
  readonly firstByteMs: number | undefined;
  readonly durationMs: number;
}

/** The deciding side as the protocol side sees it. */
export interface Director {
  /**
   * Decides about one request: admission, candidates, producers, scheduling, pre-request hooks. Synchronous where
   * nothing has to wait. Throws (or rejects with) `RequestError` for a documented refusal.
   */
  handle(request: IncomingRequest): RoutingDecision | Promise<RoutingDecision>;
  /** Endpoint for a request without an inference body: any ready one in the subset. Throws `RequestError` (503). */
  handleBodyless(request: BodylessRequest): ChosenEndpoint;
  /** Whether any plugin wants `onResponseBody`; when false the protocol side skips that work. */
  readonly wantsResponseBody: boolean;
  /** The answer's headers arrived. Returns the headers to add to it or overwrite, if any. */
  onResponseHeaders(
    ticket: unknown,
    headers: Headers,
    servedEndpoint: string | undefined,
  ): readonly HeaderChange[] | undefined;
  /** The first byte of the answer's body arrived. */
  onFirstChunk?(ticket: unknown): void;
  /** A chunk of the answer's body arrived (bytes are only valid during the call); `first` marks the first one. */
  onResponseBody(ticket: unknown, chunk: Buffer, first: boolean, endOfStream: boolean): void;
  /** Dynamic metadata that goes to the proxy with the answer's end; undefined: none. */
  responseMetadata?(ticket: unknown, usage: Usage | undefined): Metadata | undefined;
  /** The request is over; called exactly once for each decision. */
  onComplete(ticket: unknown, summary: ResponseSummary): void;
}
