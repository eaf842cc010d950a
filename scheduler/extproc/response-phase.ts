import type { RequestSeries } from "../metrics/request-metrics.ts";
import type { ResponseSummary, Termination } from "../request/types.ts";
import type { ExtProcContext, Route } from "./context.ts";
import { BODY_MODE, type ProcessingMessage } from "./decode.ts";
import { ANSWER, AnswerWriter, NO_MUTATION } from "./encode.ts";
import { RESPONSE_MARKER } from "./headers.ts";
import { ModelNameRestorer } from "./model-name.ts";
import { UsageScanner } from "./usage.ts";

const MARKED = { set: [RESPONSE_MARKER], remove: [], clearRouteCache: false };

/** The response side of one stream: passes the answer on, and measures it. */
export class ResponsePhase {
  readonly #context: ExtProcContext;
  readonly #send: (frames: Buffer) => void;
  readonly #receivedAtMs: number;
  readonly #route: Route | undefined;
  readonly #series: RequestSeries;
  readonly #mode: number;
  readonly #usage = new UsageScanner();
  #restorer: ModelNameRestorer | undefined;
  #streaming = false;
  #readable = true;
  #status: number | undefined;
  #bytes = 0;
  #firstByteAtMs: number | undefined;
  #lastByteAtMs = 0;
  /** Whether the answer's end has been seen. */
  complete = false;
  started = false;

  constructor(
    context: ExtProcContext,
    send: (frames: Buffer) => void,
    request: { route: Route | undefined; series: RequestSeries; receivedAtMs: number; mode: number },
  ) {
    this.#context = context;
    this.#send = send;
    this.#route = request.route;
    this.#series = request.series;
    this.#receivedAtMs = request.receivedAtMs === 0 ? context.now() : request.receivedAtMs;
    this.#mode = request.mode;
    const { route } = request;
    if (route !== undefined && route.model !== "" && route.targetModel !== "" && route.model !== route.targetModel)
      this.#restorer = new ModelNameRestorer(route.targetModel, route.model);
  }

  onHeaders(message: ProcessingMessage): void {
    this.started = true;
    const { headers } = message;
    const status = Number(headers.get(":status") ?? headers.get("status"));
    if (Number.isInteger(status)) this.#status = status;
    if (this.failed) this.#series.failed("ModelServerError");
    this.#streaming = (headers.get("content-type") ?? "").includes("text/event-stream");
    this.#readable = ["", "identity"].includes(headers.get("content-encoding") ?? "");
    const { ticket } = this.#route ?? {};
    const added =
      ticket === undefined
        ? undefined
        : this.#context.director.onResponseHeaders(ticket, headers, message.metadata?.served);
    const answers = new AnswerWriter();
    const mutation = added === undefined || added.length === 0 ? MARKED : { ...MARKED, set: [...MARKED.set, ...added] };
    answers.headers(ANSWER.responseHeaders, mutation);
    this.#send(answers.finish());
    if (message.endOfStream) this.complete = true;
  }

  onBody(message: ProcessingMessage): void {
    if (this.complete) return;
    const { body, endOfStream } = message;
    if (body.length > 0) this.#measure(body);
    const { director } = this.#context;
    if (this.#route?.ticket !== undefined && director.wantsResponseBody)
      director.onResponseBody(this.#route.ticket, body, endOfStream);
    this.#pass(body, endOfStream);
    if (endOfStream) this.complete = true;
  }

  onTrailers(): void {
    const answers = new AnswerWriter();
    answers.trailers(ANSWER.responseTrailers);
    const rest = this.#readable ? this.#restorer?.push(Buffer.alloc(0), true) : undefined;
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
    const durationMs = this.#context.now() - this.#receivedAtMs;
    const firstByteMs = this.#firstByteAtMs === undefined ? undefined : this.#firstByteAtMs - this.#receivedAtMs;
    const usage = this.#usage.usage;
    if (this.complete)
      this.#series.answered({ streaming: this.#isStreaming, durationMs, firstByteMs }, this.#bytes, usage);
    return { termination, status: this.#status, usage, responseBytes: this.#bytes, firstByteMs, durationMs };
  }

  get #isStreaming(): boolean {
    return this.#streaming || this.#route?.streamRequested === true;
  }

  #measure(body: Buffer): void {
    const now = this.#context.now();
    if (this.#firstByteAtMs === undefined) this.#firstByteAtMs = now;
    else if (this.#isStreaming) this.#series.gap(now - this.#lastByteAtMs);
    this.#lastByteAtMs = now;
    this.#bytes += body.length;
    if (this.#readable) this.#usage.push(body);
  }

  #pass(body: Buffer, endOfStream: boolean): void {
    const restorer = this.#readable ? this.#restorer : undefined;
    const bytes = restorer === undefined ? body : restorer.push(body, endOfStream);
    const answers = new AnswerWriter(bytes.length);
    if (this.#mode === BODY_MODE.fullDuplexStreamed) answers.streamedBody(ANSWER.responseBody, bytes, endOfStream);
    else answers.body(ANSWER.responseBody, NO_MUTATION, restorer === undefined ? undefined : bytes);
    this.#send(answers.finish());
  }
}
