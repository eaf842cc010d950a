import { VERBOSITY, describeError } from "../../telemetry/log.ts";
import { NO_LABELS, type RequestSeries } from "../metrics/request-metrics.ts";
import { type DroppedReason, RequestError, type ResponseSummary, type Termination } from "../request/types.ts";
import { type Call, type CallHandler, GRPC_STATUS, type Method } from "../server/transport.ts";
import type { ExtProcContext, Route } from "./context.ts";
import { BODY_MODE, type ProcessingMessage, decodeProcessingRequest } from "./decode.ts";
import { AnswerWriter } from "./encode.ts";
import { DROPPED_REASON_HEADER } from "./headers.ts";
import { type RequestHost, RequestPhase, tooMuchHeld } from "./request-phase.ts";
import { ResponsePhase } from "./response-phase.ts";
import { WireError } from "./wire.ts";

/** Path of the method that proxies call, one stream for each HTTP request. */
export const EXT_PROC_METHOD = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/** The external processor as a gRPC method. */
export function createExtProcMethod(context: ExtProcContext): Method {
  return (call) => new ExtProcStream(context, call);
}

/** One HTTP exchange. Request and response are answered independently of each other. */
class ExtProcStream implements CallHandler, RequestHost {
  readonly #context: ExtProcContext;
  readonly #call: Call;
  readonly #request: RequestPhase;
  #response: ResponsePhase | undefined;
  #responseMode: number;
  #route: Route | undefined;
  #series: RequestSeries | undefined;
  #summary: ResponseSummary | undefined;
  /** Whether the route's end has been told. */
  #told = false;
  #failed = false;
  /** Whether the client has closed its side while an endpoint is being chosen. */
  #halfClosed = false;
  over = false;

  constructor(context: ExtProcContext, call: Call) {
    this.#context = context;
    this.#call = call;
    this.#responseMode = context.assumedMode ?? BODY_MODE.fullDuplexStreamed;
    this.#request = new RequestPhase(context, this);
    context.metrics.openStreams.inc();
  }

  onMessage(bytes: Buffer): void {
    if (this.over) return;
    try {
      const message = decodeProcessingRequest(bytes);
      // Headers are kept as long as the stream.
      if (message.kind === "requestHeaders" && !this.#call.hold(bytes.length)) throw tooMuchHeld();
      this.#dispatch(message);
    } catch (error) {
      this.fail(error);
    }
  }

  /** A client that has sent all still takes the answer to it. */
  onHalfClose(): void {
    this.#halfClosed = this.#request.deciding;
    if (this.#halfClosed) return;
    // A proxy that shows no answer, or no more than its headers, is configured so; one that stops in the middle lost it.
    const lost = this.#response !== undefined && !this.#response.complete && this.#responseMode !== BODY_MODE.none;
    this.#finish(lost ? "error" : "natural");
    this.#call.end(GRPC_STATUS.ok);
  }

  onCancel(): void {
    this.#finish("client-disconnect");
  }

  hold(bytes: number): boolean {
    return this.#call.hold(bytes);
  }

  decided(): void {
    if (this.#halfClosed) this.onHalfClose();
  }

  send(frames: Buffer): void {
    if (!this.over) this.#call.send(frames);
  }

  routed(route: Route, sizeBytes: number): void {
    this.#route = route;
    const { metrics, now, logger } = this.#context;
    metrics.requestProcessing.observe((now() - this.#request.receivedAtMs) / 1000);
    if (this.over) return this.#complete("client-disconnect");
    const series = metrics.series(route);
    this.#series = series;
    series.started();
    if (route.ticket !== undefined) series.routed(sizeBytes);
    this.#response?.attach(route, series);
    this.#request.span?.set({ "gen_ai.request.model": route.model, "gen_ai.request.id": this.#request.id });
    route.onEvicted?.((reason) => this.#evict(reason));
    if (logger.enabled(VERBOSITY.verbose))
      logger.v(VERBOSITY.verbose, "EPP sent request body response(s) to proxy", {
        modelName: route.model,
        targetModelName: route.targetModel,
        endpoint: route.destination,
      });
    // The answer may come, and end, before the request does.
    if (this.#summary !== undefined) this.#complete(this.#summary.termination);
  }

  skipResponse(): void {
    if (this.over) return;
    this.#context.logger.v(VERBOSITY.verbose, "EPP skipped response interception, routed request", {
      targetEndpoint: this.#route?.destination,
      targetModel: this.#route?.targetModel,
    });
    this.#finish("natural");
    this.#call.end(GRPC_STATUS.ok);
  }

  /** Ends a request that has to make room for others, unless its answer is complete. */
  #evict(reason: DroppedReason): void {
    if (this.over || this.#summary !== undefined) return;
    this.#context.logger.info("Request evicted by flow control", { requestID: this.#request.id, reason });
    this.#countFailure("ResourceExhausted");
    this.#context.metrics.dropped(reason);
    this.#call.send(immediateAnswer(429, "request evicted by flow control", reason));
    this.#finish("evicted");
    this.#call.end(GRPC_STATUS.ok);
  }

  /** Documented refusals are answered to the client; any other error leaves the choice to the proxy's failure mode. */
  fail(error: unknown): void {
    if (this.over) return;
    const refused = error instanceof RequestError;
    this.#request.span?.fail(error);
    this.#countFailure(refused ? error.code : "Unknown");
    const { metrics, now } = this.#context;
    const { receivedAtMs } = this.#request;
    if (this.#route === undefined && receivedAtMs > 0) metrics.requestProcessing.observe((now() - receivedAtMs) / 1000);
    if (refused && error.droppedReason !== undefined) metrics.dropped(error.droppedReason);
    if (refused) this.#call.send(refusalAnswer(error));
    else this.#context.logger.error("Failed to process request", { error });
    this.#finish("error");
    if (refused) this.#call.end(GRPC_STATUS.ok);
    else if (error instanceof WireError) this.#call.end(GRPC_STATUS.invalidArgument, error.message);
    else this.#call.end(GRPC_STATUS.unknown, describeError(error));
  }

  #dispatch(message: ProcessingMessage): void {
    // A proxy that only shows its traffic takes no answers.
    if (message.observed) return;
    if (message.modes !== undefined) this.#responseMode = message.modes.response;
    switch (message.kind) {
      case "requestHeaders":
        return this.#request.onHeaders(message);
      case "requestBody":
        return this.#request.onBody(message);
      case "requestTrailers":
        return this.#request.onTrailers(message);
      case "responseHeaders":
        this.#responsePhase().onHeaders(message);
        if (this.#responsePhase().failed) this.#failed = true;
        break;
      case "responseBody":
        this.#responsePhase().onBody(message);
        break;
      case "responseTrailers":
        this.#responsePhase().onTrailers();
        break;
      case "other":
        return;
    }
    if (this.#response?.complete) this.#complete("natural");
  }

  #responsePhase(): ResponsePhase {
    if (this.#response !== undefined) return this.#response;
    const { receivedAtMs } = this.#request;
    this.#response = new ResponsePhase(this.#context, (frames) => this.send(frames), {
      series: this.#context.metrics.series(NO_LABELS),
      receivedAtMs: receivedAtMs === 0 ? undefined : receivedAtMs,
      mode: this.#responseMode,
    });
    if (this.#route !== undefined && this.#series !== undefined) this.#response.attach(this.#route, this.#series);
    return this.#response;
  }

  #countFailure(code: string): void {
    if (this.#failed) return;
    this.#failed = true;
    (this.#series ?? this.#context.metrics.series(NO_LABELS)).failed(code);
  }

  /** Tells the end of the answer, and of the route where there is one: each once. */
  #complete(termination: Termination): void {
    this.#summary ??= this.#responsePhase().finish(termination);
    if (this.#route === undefined || this.#told) return;
    this.#told = true;
    this.#series?.stopped();
    const { logger, director } = this.#context;
    if (this.#route.ticket !== undefined) director.onComplete(this.#route.ticket, this.#summary);
    if (logger.enabled(VERBOSITY.verbose))
      logger.v(VERBOSITY.verbose, "EPP sent response body back to proxy", {
        endpoint: this.#route.destination,
        status: this.#summary.status,
        termination,
        durationMs: Math.round(this.#summary.durationMs * 1000) / 1000,
      });
  }

  #finish(termination: Termination): void {
    if (this.over) return;
    this.over = true;
    this.#request.cancel();
    this.#context.metrics.openStreams.dec();
    if (this.#route !== undefined || this.#response !== undefined) this.#complete(termination);
    this.#request.span?.end();
  }
}

const refusalAnswer = ({ httpStatus, code, message, droppedReason }: RequestError): Buffer =>
  immediateAnswer(httpStatus, `inference error: ${code} - ${message}`, droppedReason);

function immediateAnswer(status: number, body: string, reason: DroppedReason | undefined): Buffer {
  const answers = new AnswerWriter(body.length * 4);
  answers.immediate({ status, headers: reason === undefined ? [] : [[DROPPED_REASON_HEADER, reason]], body });
  return answers.finish();
}
