import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { type Logger, VERBOSITY } from "../telemetry/log.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { type Api, apiOf } from "./body/api.ts";
import { type Account, type Exchange, forwardedHeaders } from "./exchange.ts";
import { RequestError, sendError, sendText } from "./http/errors.ts";
import type { Target, TlsClient } from "./http/upstream.ts";
import type { SidecarMetrics } from "./metrics.ts";
import { rankOf, readRouting } from "./routing.ts";
import { type ApiParts, serveApi } from "./serve-api.ts";
import { forward } from "./stages/forward.ts";

/** What requests are served with. */
export interface ProxyParts extends ApiParts {
  /** Where the model server is reached. */
  readonly engineHost: string;
  readonly tls: ApiParts["tls"] & { readonly engine: TlsClient | undefined };
  readonly tracing: Tracing | undefined;
  readonly metrics: SidecarMetrics;
}

/** How long the engine may take to say how it is. */
const HEALTH_MS = 4000;

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
  if (request.headers["user-agent"]?.startsWith("kube-probe/") === true)
    return sendText(response, 200, "ok\n", "text/plain");
  const signal = AbortSignal.any([exchange.signal, AbortSignal.timeout(HEALTH_MS)]);
  await forward(upstreams, exchange, signal);
}
