import { randomUUID } from "node:crypto";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { describeError } from "../../telemetry/log.ts";
import { type Fields, numberAt, recordsAt, textAt } from "../fields.ts";
import { type Address, type Backend, type Pool, poolAddresses, resolveBackend, serviceAddresses } from "./backends.ts";
import { type Exchange, type ProxyContext, chooseTarget, fail, openUpstream, responseHeaders } from "./exchange.ts";
import { PickedExchange } from "./picked-exchange.ts";
import {
  type FilterResult,
  type RouteHit,
  applyFilters,
  durationMs,
  matchRoute,
  modifyHeaders,
  redirectOf,
} from "./route-match.ts";
import { endToEnd } from "./upstream.ts";

/** Serves one request of a listener. Never rejects. */
export async function proxyRequest(
  context: ProxyContext,
  port: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    await route(context, port, request, response);
  } catch (error) {
    context.logger.v(3, "request failed", { path: request.url, error: describeError(error) });
    fail(response, 503, `upstream connect error: ${describeError(error)}`);
  }
}

async function route(
  context: ProxyContext,
  port: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const authority = request.headers.host ?? "";
  const url = new URL(request.url ?? "/", "http://gateway");
  const path = (request.url ?? "/").split("?", 1)[0]!;
  const hit = matchRoute(context.routes(port), {
    host: authority.replace(/:\d+$/, "").toLowerCase(),
    method: request.method ?? "GET",
    path,
    query: url.searchParams,
    headers: request.headers,
  });
  if (hit === undefined) return fail(response, 404, `no route for ${request.method} ${path}`);
  const filters = applyFilters(hit, path);
  if (filters.redirect !== undefined) {
    const scheme = "encrypted" in request.socket ? "https" : "http";
    const { status, location } = redirectOf(filters.redirect, hit, { scheme, authority, path, search: url.search });
    response.writeHead(status, { location }).end();
    return;
  }
  const exchange = {
    request,
    response,
    filters,
    upstreamPath: filters.path + url.search,
    headers: upstreamHeaders(request, filters),
  };
  limitTime(hit, response);
  await forward(context, exchange, chooseBackend(context, hit));
}

/** The client's headers without hop-by-hop ones, with what proxies add, and the route's changes. */
function upstreamHeaders(request: IncomingMessage, filters: FilterResult): OutgoingHttpHeaders {
  const headers: Record<string, string | string[] | undefined> = endToEnd(request.headers);
  const client = request.socket.remoteAddress ?? "";
  const before = request.headers["x-forwarded-for"];
  headers["x-forwarded-for"] = before === undefined ? client : `${String(before)}, ${client}`;
  headers["x-forwarded-proto"] ??= "http";
  headers["x-request-id"] ||= randomUUID();
  if (filters.host !== undefined) headers["host"] = filters.host;
  modifyHeaders(headers, filters.requestHeaders);
  return headers;
}

function limitTime(hit: RouteHit, response: ServerResponse): void {
  const timeouts = hit.entry.rule["timeouts"];
  const limits = [durationMs(textAt(timeouts, "request")), durationMs(textAt(timeouts, "backendRequest"))];
  const limitMs = Math.min(...limits.map((limit) => limit ?? Number.POSITIVE_INFINITY));
  if (!Number.isFinite(limitMs)) return;
  const timer = setTimeout(() => fail(response, 504, "request timeout"), limitMs);
  response.once("close", () => clearTimeout(timer));
}

/** One of the rule's backends by weight; a reference that leads nowhere keeps its share, which fails. */
function chooseBackend(context: ProxyContext, { entry }: RouteHit): Backend | undefined {
  const references = recordsAt(entry.rule, "backendRefs");
  const weight = (reference: Fields) => numberAt(reference, "weight") ?? 1;
  let point = context.random() * references.reduce((sum, reference) => sum + weight(reference), 0);
  const chosen = references.find((reference) => weight(reference) > 0 && (point -= weight(reference)) < 0);
  return chosen === undefined ? undefined : resolveBackend(chosen, entry.namespace, context.sources);
}

async function forward(context: ProxyContext, exchange: Exchange, backend: Backend | undefined): Promise<void> {
  if (backend === undefined) return fail(exchange.response, 500, "route has no backend");
  if (backend.kind === "unresolved") return fail(exchange.response, 500, backend.message);
  if (backend.kind === "service") {
    const addresses = serviceAddresses(backend.service, backend.port, context.sources.slices);
    return await forwardDirect(context, exchange, addresses);
  }
  await forwardPicked(context, exchange, backend.pool);
}

/** Passes a request to one of the addresses, chosen at random. */
export async function forwardDirect(
  context: ProxyContext,
  exchange: Exchange,
  addresses: readonly Address[],
): Promise<void> {
  const { request, response } = exchange;
  const target = await chooseTarget(context, addresses);
  if (target === undefined) return fail(response, 503, "no healthy upstream");
  const upstream = openUpstream(context, exchange, target, {});
  upstream.once("response", (answer) => {
    response.writeHead(answer.statusCode ?? 502, responseHeaders(exchange, answer));
    pipeline(answer, response).catch(() => response.destroy());
  });
  await pipeline(request, upstream).catch((error: unknown) => {
    if (!upstream.destroyed) upstream.destroy();
    fail(response, 503, `upstream connect error: ${describeError(error)}`);
  });
}

async function forwardPicked(context: ProxyContext, exchange: Exchange, pool: Pool): Promise<void> {
  const { slices, services, pods } = context.sources;
  const namespace = pool.object.metadata.namespace;
  const service = services.get({ namespace, name: pool.picker.name });
  const addresses = service === undefined ? [] : serviceAddresses(service, pool.picker.port, slices);
  const picker = await chooseTarget(context, addresses);
  if (picker !== undefined) {
    const picked = new PickedExchange(context, exchange, pool, context.pickers.open(picker));
    const failed = await picked.run();
    if (failed) context.upstreams.forget(picker);
    return;
  }
  if (pool.failOpen) return await forwardDirect(context, exchange, poolAddresses(pool, pods));
  fail(exchange.response, 500, `endpoint picker ${namespace}/${pool.picker.name} does not answer`);
}
