import { VERBOSITY } from "../../telemetry/log.ts";
import { replaceModel } from "../parsers/parsers.ts";
import {
  type ChosenEndpoint,
  type IncomingRequest,
  type ParsedBody,
  RequestError,
  type RoutingDecision,
} from "../request/types.ts";
import type { ExtProcContext, Route } from "./context.ts";
import { BODY_MODE, LB_NAMESPACE, type ProcessingMessage } from "./decode.ts";
import { ANSWER, AnswerWriter, type MetadataValue, type Mutation, NO_MUTATION } from "./encode.ts";
import { DESTINATION_HEADER, controlHeadersOf, isBodylessMethod, isUpgrade, pathOf } from "./headers.ts";

const NO_BYTES = Buffer.alloc(0);
const SCORES_KEY = `${DESTINATION_HEADER}-scores`;

/** What the request side needs of its stream. */
export interface RequestHost {
  send(frames: Buffer): void;
  /** The request has an endpoint; `sizeBytes` is the body that goes out. */
  routed(route: Route, sizeBytes: number): void;
  /** The request cannot be routed. */
  fail(error: unknown): void;
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
  #chunks: Buffer[] = [];
  #size = 0;
  #subset: readonly string[] | undefined;
  #id = "";
  #idGenerated = false;
  #abort: AbortController | undefined;
  #cancelled = false;
  #mode: number = BODY_MODE.fullDuplexStreamed;
  #state: "new" | "collecting" | "echoing" | "deciding" | "done" = "new";
  #trailersDue = false;
  receivedAtMs = 0;

  constructor(context: ExtProcContext, host: RequestHost) {
    this.#context = context;
    this.#host = host;
  }

  onHeaders(message: ProcessingMessage): void {
    if (this.#state !== "new") return;
    this.receivedAtMs = this.#context.now();
    this.#headers = message.headers;
    this.#mode = message.modes?.request ?? BODY_MODE.fullDuplexStreamed;
    this.#noteMetadata(message);
    this.#identify(message.headers);
    this.#state = "collecting";
    if (message.endOfStream) return this.#routeBodyless("headers");
    if (isUpgrade(message.headers) || this.#mode === BODY_MODE.none || this.#mode === BODY_MODE.streamed) {
      this.#routeBodyless("headers");
      this.#state = "echoing";
      return;
    }
    this.#checkSize(Number(message.headers.get("content-length") ?? 0));
    if (this.#isBuffered) this.#answerHeaders(NO_MUTATION, undefined);
  }

  onBody(message: ProcessingMessage): void {
    this.#noteMetadata(message);
    if (this.#state === "echoing") return this.#echo(message);
    if (this.#state !== "collecting") return;
    this.#size += message.body.length;
    this.#checkSize(this.#size);
    if (message.body.length > 0) this.#chunks.push(message.body);
    if (message.endOfStream) this.#decide("body");
  }

  onTrailers(message: ProcessingMessage): void {
    this.#noteMetadata(message);
    if (this.#state === "collecting") return this.#decide("trailers");
    if (this.#state === "deciding") this.#trailersDue = true;
    else this.#answerTrailers();
  }

  /** The client went away. */
  cancel(): void {
    this.#cancelled = true;
    this.#abort?.abort();
    this.#chunks = [];
  }

  get #isBuffered(): boolean {
    return this.#mode === BODY_MODE.buffered || this.#mode === BODY_MODE.bufferedPartial;
  }

  #noteMetadata(message: ProcessingMessage): void {
    if (message.metadata !== undefined && !this.#context.ignoreSubset) this.#subset = message.metadata.subset;
  }

  #identify(headers: ReadonlyMap<string, string>): void {
    const given = headers.get("x-request-id") ?? "";
    this.#idGenerated = given === "";
    this.#id = this.#idGenerated ? this.#context.newId() : given;
    const { logger } = this.#context;
    if (logger.enabled(VERBOSITY.verbose))
      logger.v(VERBOSITY.verbose, "EPP received request", { "x-request-id": this.#id, path: pathOf(headers) });
  }

  #checkSize(size: number): void {
    const { maxBodyBytes } = this.#context;
    if (size <= maxBodyBytes) return;
    throw new RequestError(
      "PayloadTooLarge",
      `request body of ${size} bytes exceeds the limit of ${maxBodyBytes} bytes`,
    );
  }

  #decide(ending: Ending): void {
    const path = pathOf(this.#headers);
    const { parsers } = this.#context;
    if (this.#size === 0 && (isBodylessMethod(this.#headers) || !parsers.claims(path)))
      return this.#routeBodyless(ending);
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.#size);
    this.#chunks = [];
    const body = parsers.parse(path, bytes);
    this.#state = "deciding";
    const decision = this.#context.director.handle(this.#request(path, body));
    if (!(decision instanceof Promise)) return this.#answer(decision, body, ending);
    decision.then(
      (value) => this.#settled(value, body, ending),
      (error: unknown) => this.#host.fail(error),
    );
  }

  #settled(decision: RoutingDecision, body: ParsedBody, ending: Ending): void {
    try {
      this.#answer(decision, body, ending);
      if (this.#trailersDue) this.#answerTrailers();
    } catch (error) {
      this.#host.fail(error);
    }
  }

  #request(path: string, body: ParsedBody): IncomingRequest {
    const signal = (): AbortSignal => this.#signal();
    return {
      id: this.#id,
      path,
      headers: this.#headers,
      body,
      subset: this.#subset,
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
    const rewritten = body.api !== "raw" && decision.targetModel !== "" && decision.targetModel !== body.model;
    const bytes = rewritten ? replaceModel(body.bytes, decision.targetModel) : body.bytes;
    const route: Route = {
      destination: decision.destination,
      ticket: decision.ticket,
      model: decision.incomingModel,
      targetModel: decision.targetModel,
      fairnessId: decision.fairnessId,
      priority: decision.priority,
      streamRequested: body.stream,
    };
    this.#context.metrics.picked(decision.endpoint, decision.targetModel);
    this.#host.routed(route, bytes.length);
    const mutation = this.#mutation(decision.destination, bytes.length, decision.setHeaders, decision.removeHeaders);
    const metadata = lbMetadata(decision.destination, decision.scores);
    this.#sendRoute(mutation, metadata, bytes, rewritten, ending);
  }

  #routeBodyless(ending: Ending): void {
    this.#state = "done";
    const endpoint: ChosenEndpoint = this.#context.director.handleBodyless(this.#subset);
    const destination = endpoint.address;
    this.#context.metrics.picked(endpoint, "");
    this.#host.routed(
      {
        destination,
        ticket: undefined,
        model: "",
        targetModel: "",
        fairnessId: "default-flow",
        priority: 0,
        streamRequested: false,
      },
      0,
    );
    const mutation = this.#mutation(destination, 0, []);
    if (ending === "headers") this.#answerHeaders(mutation, lbMetadata(destination, undefined));
    else this.#sendRoute(mutation, lbMetadata(destination, undefined), NO_BYTES, false, ending);
  }

  #mutation(
    destination: string,
    size: number,
    changed: readonly (readonly [string, string])[],
    removed: readonly string[] = [],
  ): Mutation {
    const set: (readonly [string, string])[] = [[DESTINATION_HEADER, destination]];
    if (size > 0) set.push(["Content-Length", String(size)]);
    if (this.#idGenerated) set.push(["x-request-id", this.#id]);
    for (const header of changed) set.push(header);
    return { set, remove: [...controlHeadersOf(this.#headers), ...removed], clearRouteCache: true };
  }

  /** The headers' answer and the body, in one write. */
  #sendRoute(
    mutation: Mutation,
    metadata: ReadonlyMap<string, MetadataValue>,
    body: Buffer,
    changed: boolean,
    ending: Ending,
  ): void {
    const answers = new AnswerWriter(body.length);
    if (ending === "trailers") answers.trailers(ANSWER.requestTrailers);
    if (this.#isBuffered) answers.body(ANSWER.requestBody, mutation, changed ? body : undefined, metadata);
    else {
      answers.streamedBody(ANSWER.requestBody, body, ending === "body");
      answers.headers(ANSWER.requestHeaders, mutation, metadata);
    }
    this.#host.send(answers.finish());
  }

  #answerHeaders(mutation: Mutation, metadata: ReadonlyMap<string, MetadataValue> | undefined): void {
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
    if (this.#mode === BODY_MODE.fullDuplexStreamed)
      answers.streamedBody(ANSWER.requestBody, message.body, message.endOfStream);
    else answers.body(ANSWER.requestBody, NO_MUTATION);
    this.#host.send(answers.finish());
  }
}

function lbMetadata(
  destination: string,
  scores: ReadonlyMap<string, number> | undefined,
): ReadonlyMap<string, MetadataValue> {
  const values = new Map<string, MetadataValue>([[DESTINATION_HEADER, destination]]);
  if (scores !== undefined && scores.size > 0) values.set(SCORES_KEY, scores);
  return new Map([[LB_NAMESPACE, values]]);
}
