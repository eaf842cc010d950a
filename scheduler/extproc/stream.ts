import { VERBOSITY, describeError } from "../../telemetry/log.ts";
import { NO_LABELS, type RequestSeries } from "../metrics/request-metrics.ts";
import { RequestError, type Termination } from "../request/types.ts";
import { type Call, type CallHandler, GRPC_STATUS, type Method } from "../server/transport.ts";
import type { ExtProcContext, Route } from "./context.ts";
import { BODY_MODE, type ProcessingMessage, decodeProcessingRequest } from "./decode.ts";
import { AnswerWriter } from "./encode.ts";
import { DROPPED_REASON_HEADER } from "./headers.ts";
import { type RequestHost, RequestPhase } from "./request-phase.ts";
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
  #responseMode: number = BODY_MODE.fullDuplexStreamed;
  #route: Route | undefined;
  #series: RequestSeries | undefined;
  #failed = false;
  over = false;

  constructor(context: ExtProcContext, call: Call) {
    this.#context = context;
    this.#call = call;
    this.#request = new RequestPhase(context, this);
    context.metrics.openStreams.inc();
  }

  onMessage(bytes: Buffer): void {
    if (this.over) return;
    try {
      this.#dispatch(decodeProcessingRequest(bytes));
    } catch (error) {
      this.fail(error);
    }
  }

  onHalfClose(): void {
    // A proxy that shows no answer at all is configured so; one that stops in the middle of an answer lost it.
    const lost = this.#response !== undefined && !this.#response.complete;
    this.#finish(lost ? "error" : "natural");
    this.#call.end(GRPC_STATUS.ok);
  }

  onCancel(): void {
    this.#request.cancel();
    this.#finish("client-disconnect");
  }

  send(frames: Buffer): void {
    if (!this.over) this.#call.send(frames);
  }

  routed(route: Route, sizeBytes: number): void {
    this.#route = route;
    const { metrics, now, logger } = this.#context;
    metrics.requestProcessing.observe((now() - this.#request.receivedAtMs) / 1000);
    if (this.over) return this.#complete("client-disconnect");
    this.#series = metrics.series(route);
    this.#series.started();
    if (route.ticket !== undefined) this.#series.routed(sizeBytes);
    if (logger.enabled(VERBOSITY.verbose))
      logger.v(VERBOSITY.verbose, "EPP sent request body response(s) to proxy", {
        modelName: route.model,
        targetModelName: route.targetModel,
        endpoint: route.destination,
      });
  }

  /** Documented refusals are answered to the client; any other error leaves the choice to the proxy's failure mode. */
  fail(error: unknown): void {
    if (this.over) return;
    const refused = error instanceof RequestError;
    this.#countFailure(refused ? error.code : "Unknown");
    if (refused) this.#call.send(immediateAnswer(error));
    else this.#context.logger.error("Failed to process request", { error });
    this.#finish("error");
    if (refused) this.#call.end(GRPC_STATUS.ok);
    else if (error instanceof WireError) this.#call.end(GRPC_STATUS.invalidArgument, error.message);
    else this.#call.end(GRPC_STATUS.unknown, describeError(error));
  }

  #dispatch(message: ProcessingMessage): void {
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
    this.#response ??= new ResponsePhase(this.#context, (frames) => this.send(frames), {
      route: this.#route,
      series: this.#series ?? this.#context.metrics.series(NO_LABELS),
      receivedAtMs: this.#request.receivedAtMs,
      mode: this.#responseMode,
    });
    return this.#response;
  }

  #countFailure(code: string): void {
    if (this.#failed) return;
    this.#failed = true;
    (this.#series ?? this.#context.metrics.series(NO_LABELS)).failed(code);
  }

  #completed = false;

  /** Tells the end of a routed request, once. */
  #complete(termination: Termination): void {
    if (this.#completed) return;
    this.#completed = true;
    this.#series?.stopped();
    const summary = (this.#response ?? this.#responsePhase()).finish(termination);
    const { logger, director } = this.#context;
    if (this.#route?.ticket !== undefined) director.onComplete(this.#route.ticket, summary);
    if (logger.enabled(VERBOSITY.verbose))
      logger.v(VERBOSITY.verbose, "EPP sent response body back to proxy", {
        endpoint: this.#route?.destination,
        status: summary.status,
        termination,
        durationMs: Math.round(summary.durationMs * 1000) / 1000,
      });
  }

  #finish(termination: Termination): void {
    if (this.over) return;
    this.over = true;
    this.#context.metrics.openStreams.dec();
    if (this.#route !== undefined || this.#response !== undefined) this.#complete(termination);
  }
}

function immediateAnswer(error: RequestError): Buffer {
  const answers = new AnswerWriter(error.message.length * 4);
  answers.immediate({
    status: error.httpStatus,
    headers: error.droppedReason === undefined ? [] : [[DROPPED_REASON_HEADER, error.droppedReason]],
    body: `inference error: ${error.code} - ${error.message}`,
  });
  return answers.finish();
}
