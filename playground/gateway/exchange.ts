import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { type Logger, describeError } from "../../telemetry/log.ts";
import type { Address, BackendSources } from "./backends.ts";
import type { PickerClients } from "./picker-client.ts";
import { type FilterResult, type RouteEntry, modifyHeaders } from "./route-match.ts";
import { type Target, type Upstreams, endToEnd } from "./upstream.ts";

/** What the proxy looks things up in. */
export interface ProxyContext {
  readonly sources: BackendSources;
  readonly upstreams: Upstreams;
  readonly pickers: PickerClients;
  readonly logger: Logger;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Routes of a listener port. */
  readonly routes: (port: number) => readonly RouteEntry[];
}

/** A request with what its route says about it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly filters: FilterResult;
  /** Path and query for the server behind. */
  readonly upstreamPath: string;
  /** Headers for the server behind. */
  readonly headers: OutgoingHttpHeaders;
}

/** Answers with a plain text, or cuts the connection where an answer has begun already. */
export function fail(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { "content-type": "text/plain", "content-length": Buffer.byteLength(message) });
  response.end(message);
}

/** A target that answers, tried in random order; undefined where there is none. */
export async function chooseTarget(context: ProxyContext, addresses: readonly Address[]): Promise<Target | undefined> {
  const left = [...addresses];
  while (left.length > 0) {
    const [address] = left.splice(Math.floor(context.random() * left.length), 1);
    try {
      return await context.upstreams.resolve(address!.host, address!.port);
    } catch (error) {
      context.logger.v(3, "address does not answer", { ...address, error: describeError(error) });
    }
  }
  return undefined;
}

/** Opens the request to the server behind; it goes when the client goes, and its failure is the client's 503. */
export function openUpstream(
  context: ProxyContext,
  exchange: Exchange,
  target: Target,
  changes: OutgoingHttpHeaders,
): ClientRequest {
  const { request, response } = exchange;
  const headers = { ...exchange.headers, ...changes };
  const upstream = context.upstreams.request(target, {
    method: request.method ?? "GET",
    path: exchange.upstreamPath,
    headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
  });
  upstream.once("error", (error) => {
    context.upstreams.forget(target);
    fail(response, 503, `upstream connect error or disconnect before headers: ${describeError(error)}`);
  });
  response.once("close", () => upstream.destroy());
  return upstream;
}

/** The answer's headers for the client, with the route's changes. */
export function responseHeaders(exchange: Exchange, answer: IncomingMessage): OutgoingHttpHeaders {
  const headers: Record<string, string | string[] | undefined> = endToEnd(answer.headers);
  modifyHeaders(headers, exchange.filters.responseHeaders);
  return headers;
}
