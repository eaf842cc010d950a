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
  /** Makes a JSON value; undefined: there is nothing of what the query asks for. */
  render(query: URLSearchParams): unknown;
}

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
  const server = createServer((request, response) => {
    answer(request, response, settings).catch((error: unknown) => {
      settings.logger.error("cannot answer on the metrics port", { path: request.url, error });
      if (!response.headersSent) end(response, 500, "internal error\n");
      else response.destroy();
    });
  });
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
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://metrics");
  const path = pathname.length > 1 && pathname.endsWith("/") ? pathname.slice(0, -1) : pathname;
  const method = request.method ?? "GET";
  if (authorize !== undefined) {
    const verdict = await authorize(bearerOf(request), path, method.toLowerCase());
    if (!verdict.allowed) return end(response, verdict.status, `${verdict.message}\n`);
  }
  const page = path === "/debug" ? indexOf(pages) : pages.get(path);
  if (path !== "/metrics" && page === undefined) return end(response, 404, "not found\n");
  if (method !== "GET" && method !== "HEAD") {
    response.setHeader("Allow", "GET");
    return end(response, 405, "method not allowed\n");
  }
  if (page === undefined) return end(response, 200, await metrics.render(), metrics.contentType);
  const value = page.render(searchParams);
  if (value === undefined) return end(response, 404, "not found\n");
  end(response, 200, `${JSON.stringify(value, undefined, 2)}\n`, "application/json");
}

function indexOf(pages: ReadonlyMap<string, DebugPage>): DebugPage {
  const entries = Array.from(pages, ([path, { about }]) => [path, about] as const);
  const index = Object.fromEntries([["/metrics", "metrics in the Prometheus text format"], ...entries]);
  return { about: "the debug pages", render: () => index };
}

const bearerOf = (request: IncomingMessage): string =>
  /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";

function end(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) }).end(text);
}
