import type { RequestSeries } from "../metrics/request-metrics.ts";
import type { HeaderChange, Headers, Metadata, ResponseSummary, Termination } from "../request/types.ts";
import type { ExtProcContext, Route } from "./context.ts";
import { isDuplex, type ProcessingMessage } from "./decode.ts";
import { ANSWER, AnswerWriter, type Mutation } from "./encode.ts";
import { RESPONSE_MARKER } from "./headers.ts";
import { ModelNameRestorer } from "./model-name.ts";
import { createUsageReader, isDecodable, type UsageReader } from "./usage.ts";

const MARKED: Mutation = { set: [RESPONSE_MARKER], remove: [], clearRouteCache: false };
const UNCHANGED: Mutation = { set: [], remove: [], clearRouteCache: false };
const NO_BYTES = Buffer.alloc(0);

/** The response side of one stream: passes the answer on, and measures it. */
export class ResponsePhase {
  readonly #context: ExtProcContext;
  readonly #send: (frames: Buffer) => void;
  readonly #startedAtMs: number;
  readonly #receivedAtMs: number | undefined;
  readonly #mode: number;
  #route: Route | undefined;
  #series: RequestSeries;
  #usage: UsageReader | undefined;
  #restorer: ModelNameRestorer | undefined;
  #streaming = false;
  #readable = true;
  #status: number | undefined;
  #bytes = 0;
  #firstByteAtMs: number | undefined;
  #lastByteAtMs = 0;
  #processingMs = 0;
  /** Whether the answer's end has been seen. */
  complete = false;

  /** `receivedAtMs` is undefined where the stream has not shown the request's headers. */
  constructor(
    context: ExtProcContext,
    send: (frames: Buffer) => void,
    request: { series: RequestSeries; receivedAtMs: number | undefined; mode: number },
  ) {
    this.#context = context;
    this.#send = send;
    this.#series = request.series;
    this.#startedAtMs = context.now();
    this.#receivedAtMs = request.receivedAtMs;
    this.#mode = request.mode;
  }

  /** The request that is answered got its route. */
  attach(route: Route, series: RequestSeries): void {
    this.#route = route;
    this.#series = series;
    const { model, targetModel } = route;
    if (model !== "" && targetModel !== "" && model !== targetModel)
      this.#restorer = new ModelNameRestorer(targetModel, model);
  }

  onHeaders(message: ProcessingMessage): void {
    const { headers } = message;
    const status = Number(headers.get(":status") ?? headers.get("status"));
    if (Number.isInteger(status)) this.#status = status;
    if (this.failed) this.#series.failed("ModelServerError");
    this.#streaming = (headers.get("content-type") ?? "").includes("text/event-stream");
    const encoding = headers.get("content-encoding") ?? "";
    this.#readable = encoding === "" || encoding === "identity";
    if (this.#readable || isDecodable(encoding))
      this.#usage = createUsageReader(this.#route?.usageFormat ?? "usage", this.#readable ? undefined : encoding);
    const changes = this.#tellHeaders(headers, message.metadata?.served);
    const answers = new AnswerWriter();
    answers.headers(ANSWER.responseHeaders, changes === undefined ? MARKED : marked(changes));
    this.#send(answers.finish());
    if (message.endOfStream) this.complete = true;
  }

  onBody(message: ProcessingMessage): void {
    if (this.complete) return;
    const beganAtMs = this.#context.now();
    const { body, endOfStream } = message;
    const isFirst = this.#firstByteAtMs === undefined;
    if (body.length > 0) this.#measure(body, beganAtMs);
    this.#tellBody(body, isFirst, endOfStream);
    this.#pass(body, endOfStream);
    if (endOfStream) this.complete = true;
    this.#processingMs += this.#context.now() - beganAtMs;
  }

  onTrailers(): void {
    if (this.complete) return;
    this.#tellBody(NO_BYTES, this.#firstByteAtMs === undefined, true);
    const rest = this.#holdsBack ? this.#restorer?.push(NO_BYTES, true) : undefined;
    const answers = new AnswerWriter(rest?.length);
    answers.trailers(ANSWER.responseTrailers, this.#metadata());
    if (rest !== undefined && rest.length > 0) answers.streamedBody(ANSWER.responseBody, rest, false);
    this.#send(answers.finish());
    this.complete = true;
  }

  /** Whether the model server answered with an error. */
  get failed(): boolean {
    return this.#status !== undefined && (this.#status < 200 || this.#status > 299);
  }

  /** Records the end of the answer, and tells it. */
  finish(termination: Termination): ResponseSummary {
    const sinceMs = this.#receivedAtMs ?? this.#startedAtMs;
    const durationMs = this.#context.now() - sinceMs;
    const firstByteMs = this.#firstByteAtMs === undefined ? undefined : this.#firstByteAtMs - sinceMs;
    const usage = this.#usage?.usage;
    if (this.#processingMs > 0) this.#context.metrics.responseProcessing.observe(this.#processingMs / 1000);
    if (this.complete) {
      const timing =
        this.#receivedAtMs === undefined ? undefined : { streaming: this.#isStreaming, durationMs, firstByteMs };
      this.#series.answered(timing, this.#bytes, usage);
    }
    return { termination, status: this.#status, usage, responseBytes: this.#bytes, firstByteMs, durationMs };
  }

  get #isStreaming(): boolean {
    return this.#streaming || this.#route?.streamRequested === true;
  }

  /** Whether bytes may wait for the next chunk: where each message gets one answer, nothing can be sent later. */
  get #holdsBack(): boolean {
    return this.#readable && isDuplex(this.#mode);
  }

  #tellHeaders(headers: Headers, served: string | undefined): readonly HeaderChange[] | undefined {
    const ticket = this.#route?.ticket;
    return ticket === undefined ? undefined : this.#context.director.onResponseHeaders(ticket, headers, served);
  }

  #tellBody(body: Buffer, isFirst: boolean, endOfStream: boolean): void {
    const { director } = this.#context;
    if (this.#route?.ticket !== undefined && director.wantsResponseBody)
      director.onResponseBody(this.#route.ticket, body, isFirst, endOfStream);
  }

  #metadata(): Metadata | undefined {
    const ticket = this.#route?.ticket;
    return ticket === undefined ? undefined : this.#context.director.responseMetadata?.(ticket, this.#usage?.usage);
  }

  #measure(body: Buffer, nowMs: number): void {
    if (this.#firstByteAtMs === undefined) {
      this.#firstByteAtMs = nowMs;
      if (this.#route?.ticket !== undefined) this.#context.director.onFirstChunk?.(this.#route.ticket);
    } else if (this.#isStreaming) this.#series.gap(nowMs - this.#lastByteAtMs);
    this.#lastByteAtMs = nowMs;
    this.#bytes += body.length;
    this.#usage?.push(body);
  }

  #pass(body: Buffer, endOfStream: boolean): void {
    const restorer = this.#readable ? this.#restorer : undefined;
    const bytes = restorer === undefined ? body : restorer.push(body, endOfStream || !this.#holdsBack);
    const metadata = endOfStream ? this.#metadata() : undefined;
    const answers = new AnswerWriter(bytes.length);
    if (isDuplex(this.#mode)) answers.streamedBody(ANSWER.responseBody, bytes, endOfStream, metadata);
    else answers.body(ANSWER.responseBody, UNCHANGED, bytes === body ? undefined : bytes, metadata);
    this.#send(answers.finish());
  }
}

function marked(changes: readonly HeaderChange[]): Mutation {
  return changes.length === 0 ? MARKED : { ...MARKED, set: [RESPONSE_MARKER, ...changes] };
}
