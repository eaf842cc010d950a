import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "../../telemetry/log.ts";
import type { MetricsRegistry } from "../../telemetry/metrics.ts";

/** Whether a request may see a page: `allowed`, or the status and text to refuse it with. */
export type Verdict =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly status: number; readonly message: string };

/** Decides about the bearer of a token. */
export type Authorize = (token: string, path: string, verb: string) => Promise<Verdict>;

/** A page for people and tools that look for the cause of something. */
export interface DebugPage {
  /** What it shows, for the index. */
  readonly about: string;
  /** Makes a JSON value, or a promise of one; undefined: there is nothing of what the query asks for. */
  render(query: URLSearchParams): unknown;
  /** Takes the text of a PUT; throws `BadText` for one that it cannot use. Absent: the page cannot be changed. */
  put?(text: string): void;
}

/** A text that a page cannot use; the message says why. */
export class BadText extends Error {}

/** Prometheus and people send a few lines; anybody else may connect, too. */
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 30_000 };
const MAX_CONNECTIONS = 256;
/** Bytes of a text that is put. */
const MAX_TEXT_BYTES = 1024;

/** What the metrics server is started with. */
export interface MetricsServerSettings {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
  /** Debug pages by path; `/debug` lists them. */
  readonly pages: ReadonlyMap<string, DebugPage>;
  /** Absent: everybody may read. */
  readonly authorize?: Authorize | undefined;
}

/** A running metrics server. */
export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/metrics` and the debug pages over HTTP. Rejects where the address cannot be bound. */
export async function startMetricsServer(settings: MetricsServerSettings): Promise<MetricsServer> {
  const server = createServer(TIMEOUTS, (request, response) => {
    answer(request, response, settings).catch((error: unknown) => {
      settings.logger.error("cannot answer on the metrics port", { path: request.url, error });
      if (!response.headersSent) end(response, 500, "internal error\n");
      else response.destroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen({ host: settings.host, port: settings.port }, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => close(server) };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { metrics, pages, authorize }: MetricsServerSettings,
): Promise<void> {
  const url = URL.parse(request.url ?? "/", "http://metrics");
  if (url === null) return end(response, 400, "this is no path\n");
  const { pathname, searchParams } = url;
  const path = pathname.length > 1 && pathname.endsWith("/") ? pathname.slice(0, -1) : pathname;
  const method = request.method ?? "GET";
  if (authorize !== undefined) {
    const verdict = await authorize(tokenOf(request), path, method.toLowerCase());
    if (!verdict.allowed) return end(response, verdict.status, `${verdict.message}\n`);
  }
  const page = path === "/debug" ? indexOf(pages) : pages.get(path);
  if (path !== "/metrics" && page === undefined) return end(response, 404, "not found\n");
  if (method === "PUT" && page?.put !== undefined) {
    const problem = await put(page.put, request);
    if (problem !== undefined) return end(response, 400, `${problem}\n`);
  } else if (method !== "GET" && method !== "HEAD") {
    response.setHeader("Allow", page?.put === undefined ? "GET" : "GET, PUT");
    return end(response, 405, "method not allowed\n");
  }
  if (page === undefined) return end(response, 200, await metrics.render(), metrics.contentType);
  const value = await page.render(searchParams);
  if (value === undefined) return end(response, 404, "not found\n");
  end(response, 200, `${JSON.stringify(value, undefined, 2)}\n`, "application/json");
}

/** Hands the request's text to a page. Returns why the page cannot use it, if so. */
async function put(take: (text: string) => void, request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_TEXT_BYTES) return `text is longer than ${MAX_TEXT_BYTES} bytes`;
    parts.push(part);
  }
  try {
    take(Buffer.concat(parts).toString().trim());
    return undefined;
  } catch (error) {
    if (error instanceof BadText) return error.message;
    throw error;
  }
}

function indexOf(pages: ReadonlyMap<string, DebugPage>): DebugPage {
  const entries = Array.from(pages, ([path, { about }]) => [path, about] as const);
  const index = Object.fromEntries([["/metrics", "metrics in the Prometheus text format"], ...entries]);
  return { about: "the debug pages", render: () => index };
}

/**
 * Header with a token for readers who come through the API server's proxy of pods, which keeps `Authorization` to itself and
 * hands on every other header.
 */
export const TOKEN_HEADER = "x-metrics-token";

function tokenOf({ headers }: IncomingMessage): string {
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? "")?.[1];
  const passed = headers[TOKEN_HEADER];
  return bearer ?? (typeof passed === "string" ? passed : "");
}

function end(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) }).end(text);
}
