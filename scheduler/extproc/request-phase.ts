import { VERBOSITY } from "../../telemetry/log.ts";
import type { Span } from "../../telemetry/tracing.ts";
import { replaceModel } from "../parsers/json-body.ts";
import { NO_BODY } from "../parsers/parsers.ts";
import { API_TRAITS } from "../parsers/traits.ts";
import { HeldBytes } from "../server/held-bytes.ts";
import {
  type ChosenEndpoint,
  type HeaderChange,
  type IncomingRequest,
  type Metadata,
  type ParsedBody,
  RequestError,
  type RoutingDecision,
} from "../request/types.ts";
import type { ExtProcContext, Route } from "./context.ts";
import { BODY_MODE, isDuplex, type ProcessingMessage, readAttributes } from "./decode.ts";
import { ANSWER, AnswerWriter, type Mutation, NO_MUTATION } from "./encode.ts";
import { DESTINATION_HEADER, controlHeadersOf, isBodylessMethod, isUpgrade, pathOf } from "./headers.ts";
import { BODYLESS, lbMetadata, routeOf } from "./route.ts";
import { WireReader } from "./wire.ts";

const NO_BYTES = Buffer.alloc(0);

/** What the request side needs of its stream. */
export interface RequestHost {
  send(frames: Buffer): void;
  /** The request has an endpoint; `sizeBytes` is the body that goes out. */
  routed(route: Route, sizeBytes: number): void;
  /** The answer is none of this stream's business. */
  skipResponse(): void;
  /** The request cannot be routed. */
  fail(error: unknown): void;
  /** A decision that had to wait has been answered, or has failed. */
  decided(): void;
  /** Counts memory of bodies as kept, or, where negative, as free; false where there is not as much. */
  hold(bytes: number): boolean;
  /** Whether the stream is over. */
  readonly over: boolean;
}

/** How a request's end was told, which decides what is answered. */
type Ending = "headers" | "body" | "trailers";

/** The request side of one stream: collects the request, asks the director, answers. */
export class RequestPhase {
  readonly #context: ExtProcContext;
  readonly #host: RequestHost;
  #headers: ReadonlyMap<string, string> = new Map();
  readonly #body = new HeldBytes();
  #size = 0;
  /** Memory counted for the body. */
  #held = 0;
  #subset: readonly string[] | undefined;
  id = "";
  #idGenerated = false;
  #abort: AbortController | undefined;
  #cancelled = false;
  #mode: number;
  #attributes: ProcessingMessage["attributes"] = [];
  #state: "new" | "collecting" | "echoing" | "deciding" | "done" = "new";
  #trailersDue = false;
  /** Chunks that came before the headers were answered, where the proxy does not wait. */
  #early: ProcessingMessage[] = [];
  /** Whether the proxy shows the headers, and so takes changes of them. */
  #headersShown = false;
  receivedAtMs = 0;
  /** Span of the whole exchange; undefined where it is not traced. */
  span: Span | undefined;

  constructor(context: ExtProcContext, host: RequestHost) {
    this.#context = context;
    this.#host = host;
    this.#mode = context.assumedMode ?? BODY_MODE.fullDuplexStreamed;
  }

  onHeaders(message: ProcessingMessage): void {
    if (this.#state !== "new") return this.#ignore(message);
    this.#headersShown = true;
    this.#begin(message);
    if (message.endOfStream) return this.#routeBodyless("headers");
    if (isUpgrade(message.headers) || (this.#isUnseen && isBodylessMethod(message.headers))) {
      this.#routeBodyless("headers");
      this.#state = "echoing";
      return;
    }
    if (this.#isUnseen) return this.#decideUnseen();
    const announced = message.headers.get("content-length");
    if (announced !== undefined) this.#checkSize(Number(announced));
    if (this.#isBuffered) this.#answerHeaders(NO_MUTATION, undefined);
  }

  /** Takes over what the first message of a stream tells. */
  #begin(message: ProcessingMessage): void {
    this.receivedAtMs = this.#context.now();
    this.#headers = message.headers;
    this.#attributes = message.attributes.map(ownReader);
    this.#mode = message.modes?.request ?? this.#mode;
    this.#noteMetadata(message);
    this.#identify(message.headers);
    this.span = this.#context.tracing?.begin(
      "gateway.request",
      message.headers.get("traceparent"),
      message.headers.get("tracestate"),
    );
    this.#state = "collecting";
  }

  onBody(message: ProcessingMessage): void {
    if (this.#state === "new") this.#begin(message);
    this.#noteMetadata(message);
    if (this.#state === "echoing") return this.#echo(message);
    if (this.#state === "deciding" && this.#isUnseen) return this.#keepEarly(message);
    if (this.#state !== "collecting") return this.#ignore(message);
    this.#size += message.body.length;
    this.#checkSize(this.#size);
    if (message.body.length > 0) this.#body.add(message.body);
    // A buffered body comes in one message, which does not end the stream where trailers follow.
    if (message.endOfStream || this.#isBuffered) this.#decide("body", message.endOfStream);
    else this.#hold(this.#body.costBytes);
  }

  #keepEarly(message: ProcessingMessage): void {
    this.#early.push(message);
    this.#hold(this.#held + message.body.buffer.byteLength);
  }

  /** Counts what the body takes from now on. Throws `RequestError` where that is too much. */
  #hold(bytes: number): void {
    if (bytes === this.#held) return;
    if (!this.#host.hold(bytes - this.#held)) throw tooMuchHeld();
    this.#held = bytes;
  }

  onTrailers(message: ProcessingMessage): void {
    this.#noteMetadata(message);
    if (this.#state === "new") return this.#ignore(message);
    if (this.#state === "collecting") return this.#decide("trailers", true);
    if (this.#state === "deciding") this.#trailersDue = true;
    else this.#answerTrailers();
  }

  /** A message that the protocol does not have at this place. */
  #ignore({ kind }: ProcessingMessage): void {
    this.#context.logger.v(VERBOSITY.verbose, "message out of order, ignored", { kind, state: this.#state });
  }

  /** Whether an endpoint is being chosen for it. */
  get deciding(): boolean {
    return this.#state === "deciding";
  }

  /** Nobody waits for the request any more. */
  cancel(): void {
    this.#cancelled = true;
    this.#abort?.abort();
    this.#body.clear();
    this.#early = [];
  }

  /** Whether the headers have to be answered before the body is there. */
  get #isUnseen(): boolean {
    return this.#mode === BODY_MODE.none || this.#mode === BODY_MODE.streamed;
  }

  get #isBuffered(): boolean {
    return this.#mode === BODY_MODE.buffered || this.#mode === BODY_MODE.bufferedPartial;
  }

  #noteMetadata(message: ProcessingMessage): void {
    if (!this.#context.ignoreSubset) this.#subset = message.metadata?.subset ?? this.#subset;
  }

  #identify(headers: ReadonlyMap<string, string>): void {
    const given = headers.get("x-request-id") ?? "";
    this.#idGenerated = given === "";
    this.id = this.#idGenerated ? this.#context.newId() : given;
    const { logger } = this.#context;
    if (logger.enabled(VERBOSITY.verbose))
      logger.v(VERBOSITY.verbose, "EPP received request", { "x-request-id": this.id, path: pathOf(headers) });
  }

  #checkSize(size: number): void {
    const { maxBodyBytes } = this.#context;
    if (!(size > maxBodyBytes)) return;
    throw new RequestError(
      "PayloadTooLarge",
      `request body of ${size} bytes exceeds the limit of ${maxBodyBytes} bytes`,
    );
  }

  /** `whole`: the body is all there; one that was cut at the proxy's limit may be unreadable. */
  #decide(ending: Ending, whole: boolean): void {
    const path = pathOf(this.#headers);
    const { parsers } = this.#context;
    if (this.#size === 0 && (isBodylessMethod(this.#headers) || !parsers.claims(path)))
      return this.#routeBodyless(ending);
    const body = this.#parse(path, whole || this.#mode !== BODY_MODE.bufferedPartial);
    if (body === undefined) return this.#routeBodyless(ending);
    this.#state = "deciding";
    const span = this.span?.child("gateway.request_orchestration");
    const decision = spanned(span, () => this.#context.director.handle(this.#request(path, body, span)));
    if (!(decision instanceof Promise)) return this.#answer(decision, body, ending);
    void decision
      .then(
        (value) => this.#settled(value, body, ending),
        (error: unknown) => this.#host.fail(error),
      )
      .then(() => this.#host.decided());
    this.#hold(body.sizeBytes);
  }

  /** Decides about a body that nobody sees: by load, priority and whatever else the headers tell. */
  #decideUnseen(): void {
    this.#state = "deciding";
    const span = this.span?.child("gateway.request_orchestration");
    const request = this.#request(pathOf(this.#headers), NO_BODY, span);
    const decision = spanned(span, () => this.#context.director.handle(request));
    if (!(decision instanceof Promise)) return this.#answerUnseen(decision);
    void decision
      .then((value) => this.#answerUnseen(value))
      .catch((error: unknown) => this.#host.fail(error))
      .then(() => this.#host.decided());
  }

  #answerUnseen(decision: RoutingDecision): void {
    this.#state = "echoing";
    const { destination, setHeaders, removeHeaders } = decision;
    this.#context.metrics.picked(decision.endpoint, decision.targetModel);
    const route: Route = { ...routeOf(decision, NO_BODY), usageFormat: "usage" };
    this.#host.routed(route, Number(this.#headers.get("content-length")) || 0);
    this.#answerHeaders(this.#mutation(destination, 0, setHeaders, removeHeaders), lbMetadata(destination, decision));
    this.#hold(0);
    for (const message of this.#early.splice(0)) this.#echo(message);
    if (this.#trailersDue) this.#answerTrailers();
  }

  /** The parsed body; undefined for one that is cut. Throws `RequestError`. */
  #parse(path: string, whole: boolean): ParsedBody | undefined {
    // It may have to wait.
    this.#body.settle();
    const bytes = this.#body.take();
    try {
      return this.#context.parsers.parse(path, bytes);
    } catch (error) {
      if (whole || !(error instanceof RequestError)) throw error;
      return undefined;
    }
  }

  #settled(decision: RoutingDecision, body: ParsedBody, ending: Ending): void {
    try {
      this.#answer(decision, body, ending);
      if (this.#trailersDue) this.#answerTrailers();
    } catch (error) {
      this.#host.fail(error);
    }
  }

  #request(path: string, body: ParsedBody, span: Span | undefined): IncomingRequest {
    const signal = (): AbortSignal => this.#signal();
    const attributes = this.#attributes;
    return {
      id: this.id,
      path,
      headers: this.#headers,
      body,
      subset: this.#subset,
      span,
      attributes: () => readAttributes(attributes),
      receivedAtMs: this.receivedAtMs,
      get signal() {
        return signal();
      },
    };
  }

  /** Made on first use: most decisions wait for nothing. */
  #signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#cancelled) this.#abort.abort();
    return this.#abort.signal;
  }

  #answer(decision: RoutingDecision, body: ParsedBody, ending: Ending): void {
    this.#state = "done";
    this.#hold(0);
    const { targetModel, destination } = decision;
    const { canRewriteModel, skipsResponse } = API_TRAITS[body.api];
    const rewritten = canRewriteModel && targetModel !== "" && targetModel !== body.model;
    const bytes = rewritten ? replaceModel(body.bytes, targetModel) : body.bytes;
    const { metrics } = this.#context;
    if (decision.rewrittenBy !== undefined)
      metrics.rewritten(decision.rewrittenBy, decision.incomingModel, targetModel);
    metrics.picked(decision.endpoint, targetModel);
    this.#host.routed(routeOf(decision, body), bytes.length);
    const mutation = this.#mutation(destination, bytes.length, decision.setHeaders, decision.removeHeaders);
    this.#sendRoute(mutation, lbMetadata(destination, decision), bytes, rewritten, ending);
    if (skipsResponse) this.#host.skipResponse();
  }

  #routeBodyless(ending: Ending): void {
    this.#state = "done";
    this.#hold(0);
    const { id } = this;
    const request = { id, headers: this.#headers, subset: this.#subset };
    const endpoint: ChosenEndpoint = this.#context.director.handleBodyless(request);
    const destination = endpoint.address;
    this.#context.metrics.picked(endpoint, "");
    this.#host.routed({ ...BODYLESS, destination }, 0);
    const mutation = this.#mutation(destination, 0, []);
    if (ending === "headers") return this.#answerHeaders(mutation, lbMetadata(destination));
    this.#sendRoute(mutation, lbMetadata(destination), NO_BYTES, false, ending);
  }

  #mutation(
    destination: string,
    size: number,
    changed: readonly HeaderChange[],
    removed: readonly string[] = [],
  ): Mutation {
    const set: HeaderChange[] = [[DESTINATION_HEADER, destination]];
    if (size > 0) set.push(["Content-Length", String(size)]);
    if (this.span !== undefined) set.push(...this.span.headers);
    if (this.#idGenerated) set.push(["x-request-id", this.id]);
    for (const header of changed) set.push(header);
    return { set, remove: [...controlHeadersOf(this.#headers), ...removed], clearRouteCache: true };
  }

  /** The headers' answer and the body, in one write. */
  #sendRoute(mutation: Mutation, metadata: Metadata, body: Buffer, changed: boolean, ending: Ending): void {
    const answers = new AnswerWriter(body.length);
    if (ending === "trailers") answers.trailers(ANSWER.requestTrailers);
    if (this.#isBuffered && ending === "trailers") return this.#host.send(answers.finish());
    if (this.#isBuffered) answers.body(ANSWER.requestBody, mutation, changed ? body : undefined, metadata);
    else {
      answers.streamedBody(ANSWER.requestBody, body, ending === "body", this.#headersShown ? undefined : metadata);
      if (this.#headersShown) answers.headers(ANSWER.requestHeaders, mutation, metadata);
    }
    this.#host.send(answers.finish());
  }

  #answerHeaders(mutation: Mutation, metadata: Metadata | undefined): void {
    const answers = new AnswerWriter();
    answers.headers(ANSWER.requestHeaders, mutation, metadata);
    this.#host.send(answers.finish());
  }

  #answerTrailers(): void {
    if (this.#host.over) return;
    const answers = new AnswerWriter();
    answers.trailers(ANSWER.requestTrailers);
    this.#host.send(answers.finish());
  }

  /** Bodies whose request was routed by its headers pass as they come. */
  #echo(message: ProcessingMessage): void {
    const answers = new AnswerWriter(message.body.length);
    if (isDuplex(this.#mode)) answers.streamedBody(ANSWER.requestBody, message.body, message.endOfStream);
    else answers.body(ANSWER.requestBody, NO_MUTATION);
    this.#host.send(answers.finish());
  }
}

/** Refuses a request for which the server has no memory left. */
export const tooMuchHeld = (): RequestError =>
  new RequestError("ResourceExhausted", "the endpoint picker holds too many requests", "rejected-saturated");

/** A reader that keeps nothing but its own bytes in memory. */
const ownReader = ({ bytes, position, end }: WireReader): WireReader =>
  new WireReader(Buffer.from(bytes.subarray(position, end)));

type Decided = RoutingDecision | Promise<RoutingDecision>;

/** Decides within a span, which tells the outcome. */
function spanned(span: Span | undefined, decide: () => Decided): Decided {
  if (span === undefined) return decide();
  const tell = (decision: RoutingDecision): void => {
    span.set({ target_model: decision.targetModel, request_prio: decision.priority });
    span.end();
  };
  const tellFailure = (error: unknown): void => {
    span.fail(error);
    span.end();
  };
  try {
    const decided = decide();
    if (decided instanceof Promise) decided.then(tell, tellFailure);
    else tell(decided);
    return decided;
  } catch (error) {
    tellFailure(error);
    throw error;
  }
}
