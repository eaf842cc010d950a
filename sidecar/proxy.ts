import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { type Logger, VERBOSITY } from "../telemetry/log.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { ScanError } from "../json/scan.ts";
import { type Api, apiOf } from "./body/api.ts";
import { JsonDocument } from "./body/document.ts";
import type { SidecarOptions } from "./config/options.ts";
import type { Connectors } from "./connectors/connectors.ts";
import { type Account, type Exchange, forwardedHeaders } from "./exchange.ts";
import { RequestError, sendError, sendText } from "./http/errors.ts";
import { BodyTooLarge, readBody } from "./http/read-body.ts";
import type { Target, TlsClient, Upstreams } from "./http/upstream.ts";
import type { SidecarMetrics } from "./metrics.ts";
import { type Routing, rankOf, readRouting } from "./routing.ts";
import { type DivideSettings, divideAtOnce, divideInSequence } from "./stages/divide.ts";
import { forward } from "./stages/forward.ts";
import { type HostPort, hostPortText } from "./wire.ts";

/** What requests are served with. */
export interface ProxyParts {
  readonly options: SidecarOptions;
  readonly upstreams: Upstreams;
  readonly connectors: Connectors;
  /** Where the model server is reached. */
  readonly engineHost: string;
  readonly tls: { readonly engine: TlsClient | undefined; readonly prefill: TlsClient | undefined };
  /** Whether a host may be asked. */
  readonly allows: (host: string) => boolean;
  readonly tracing: Tracing | undefined;
  readonly metrics: SidecarMetrics;
  readonly logger: Logger;
  readonly random: () => number;
  readonly newId: () => string;
}

/** How long the engine may take to say how it is. */
const HEALTH_MS = 4000;
const FORBIDDEN = "Forbidden: prefill target not allowed by SSRF protection";

/** Serves the requests of one data-parallel rank. */
export function createProxy(parts: ProxyParts, rank: number): RequestListener {
  const { logger } = parts;
  return (request, response) => {
    serve(parts, rank, request, response).catch((error: unknown) => {
      logger.error("cannot serve a request", { error });
      response.destroy();
    });
  };
}

async function serve(
  parts: ProxyParts,
  rank: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedAt = performance.now();
  const { options, tracing } = parts;
  const path = pathOf(request);
  const api = apiOf(request.method ?? "GET", path);
  const account: Account = { outcome: "direct" };
  const end = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) end.abort(new Error("the client closed the connection"));
  });
  const { traceparent, tracestate } = request.headers;
  const span = api && tracing?.begin("routing-sidecar.request", textOf(traceparent), textOf(tracestate));
  try {
    const routing = readRouting(request.rawHeaders);
    const chosen = api === undefined || rank !== 0 ? rank : rankOf(routing.dataParallel, options);
    const engine = engineTarget(parts, chosen);
    const headers = forwardedHeaders(request, span);
    const exchange: Exchange = { request, response, signal: end.signal, headers, engine, account, span };
    if (api === undefined)
      await (path === "/health" ? answerHealth(parts, exchange) : forward(parts.upstreams, exchange));
    else await serveApi(parts, exchange, api, routing, chosen);
  } catch (error) {
    conclude(parts, response, account, end.signal, error);
    span?.fail(error);
  }
  span?.end();
  parts.metrics.record(api, account);
  report(parts.logger, path, api, account, performance.now() - startedAt);
}

const textOf = (value: string | string[] | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;

function pathOf({ url = "/" }: IncomingMessage): string {
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

function engineTarget({ options, engineHost, tls }: ProxyParts, rank: number): Target {
  return { host: engineHost, port: options.modelServerPort + rank, tls: tls.engine };
}

/** Answers what went wrong, where the client is still there. */
function conclude(
  { logger }: ProxyParts,
  response: ServerResponse,
  account: Account,
  signal: AbortSignal,
  error: unknown,
): void {
  account.error = error;
  if (signal.aborted) return void (account.outcome = "cancelled");
  if (!(error instanceof RequestError)) {
    account.outcome = "failed";
    if (!response.headersSent) logger.error("request failed", { error });
    return sendError(response, new RequestError("InternalServerError", "the routing sidecar failed"));
  }
  account.outcome = error.type === "BadGateway" || error.type === "ServiceUnavailable" ? "unreachable" : "refused";
  sendError(response, error);
}

function report(logger: Logger, path: string, api: Api | undefined, account: Account, totalMs: number): void {
  const isDivided = account.prefill !== undefined;
  const level = isDivided || account.error !== undefined ? VERBOSITY.verbose : VERBOSITY.debug;
  if (!logger.enabled(level)) return;
  const rounded = Object.fromEntries(
    Object.entries({ ...account, totalMs }).map(([name, value]) => [
      name,
      typeof value === "number" ? Math.round(value * 10) / 10 : value,
    ]),
  );
  logger.v(level, "request", { path: api === undefined ? path.slice(0, 200) : path, ...rounded });
}

/**
 * Whether the engine can serve. A kubelet's probes are about this process alone: the engine's own probes tell the kubelet about
 * the engine, and to have the sidecar restarted again and again while a model loads would only delay its readiness.
 */
async function answerHealth({ upstreams }: ProxyParts, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  if (/^kube-probe\//.test(request.headers["user-agent"] ?? "")) return sendText(response, 200, "ok\n", "text/plain");
  const signal = AbortSignal.any([exchange.signal, AbortSignal.timeout(HEALTH_MS)]);
  await forward(upstreams, exchange, signal);
}

/** Decides who takes part in a request of one of the APIs. */
async function serveApi(
  parts: ProxyParts,
  exchange: Exchange,
  api: Api,
  routing: Routing,
  rank: number,
): Promise<void> {
  const { options, upstreams, random } = parts;
  if (routing.prefill.length === 0) return await forward(upstreams, exchange);
  const allowed = routing.prefill.filter(({ host }) => parts.allows(host));
  if (allowed.length === 0) {
    exchange.account.outcome = "refused";
    return sendText(exchange.response, 403, `${FORBIDDEN}\n`, "text/plain; charset=utf-8");
  }
  const prefill = allowed[options.prefillerSampling ? Math.floor(random() * allowed.length) : 0]!;
  await divide(parts, exchange, api, prefill, rank);
}

async function divide(
  parts: ProxyParts,
  exchange: Exchange,
  api: Api,
  prefill: HostPort,
  _rank: number,
): Promise<void> {
  const { options, connectors, upstreams, logger, tls, newId } = parts;
  const body = await readDocument(exchange, options.maxBodyBytes);
  const requestId = newId();
  exchange.account.prefill = hostPortText(prefill);
  exchange.account.requestId = requestId;
  const settings: DivideSettings = {
    upstreams,
    fallsBack: options.prefillFallback === "local",
    retry: { maxRetries: options.prefillRetries, backoffMs: options.prefillBackoffMs },
    logger,
  };
  const division = { api, body, requestId, prefill, kvSource: undefined };
  const target = { ...prefill, tls: tls.prefill };
  const { connector } = connectors;
  if (connector.order === "sequential") return await divideInSequence(settings, connector, exchange, division, target);
  await divideAtOnce(settings, connector, exchange, division, target);
}

/** The body of a request. Rejects with `RequestError` for one that is no JSON object, or too large. */
async function readDocument({ request, signal }: Exchange, maxBytes: number): Promise<JsonDocument> {
  try {
    return new JsonDocument(await readBody(request, maxBytes));
  } catch (cause) {
    if (signal.aborted) throw cause;
    if (cause instanceof BodyTooLarge)
      throw new RequestError(
        "RequestEntityTooLarge",
        `the request body has more than ${maxBytes} bytes, the limit of --max-request-body-size`,
      );
    if (cause instanceof ScanError)
      throw new RequestError("BadRequestError", `invalid JSON: ${cause.message}`, { cause });
    throw new RequestError("BadRequestError", "the request body cannot be read", { cause });
  }
}
