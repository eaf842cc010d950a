import { type ServerResponse, createServer } from "node:http";
import { cpuProfile, heapSnapshot } from "./profiling.ts";

/** Kubelets and Prometheus send a few lines; anybody else may connect, too. */
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 30_000 };
const MAX_CONNECTIONS = 256;

/** A listening health server. */
export interface HealthServer {
  close(): Promise<void>;
}

/** What the server answers from. */
export interface HealthAnswers {
  readonly ready: () => boolean;
  /** The page of `/metrics`. */
  readonly render: () => string | Promise<string>;
  /** Whether to serve profiles below `/debug/pprof`; default false. */
  readonly profiling?: boolean;
}

/** Whether the path is one of a profile, which is then answered. */
function serveProfile(url: URL, response: ServerResponse): boolean {
  if (url.pathname === "/debug/pprof/profile") {
    const seconds = url.searchParams.get("seconds");
    void cpuProfile(seconds === null ? undefined : Number(seconds)).then(
      (profile) => response.writeHead(200, { "content-type": "application/json" }).end(profile),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
    return true;
  }
  if (url.pathname !== "/debug/pprof/heap") return false;
  heapSnapshot().pipe(response.writeHead(200, { "content-type": "application/json" }));
  return true;
}

/**
 * Serves `/healthz`, `/readyz` and `/metrics` over plain HTTP, and, where asked for, `/debug/pprof/profile` (CPU) and
 * `/debug/pprof/heap`. Errors: those of listening.
 */
export async function startHealthServer(
  at: { readonly host: string; readonly port: number },
  answers: HealthAnswers,
): Promise<HealthServer> {
  const server = createServer(TIMEOUTS, (request, response) => {
    const url = URL.parse(request.url ?? "/", "http://server");
    if (url === null) return void response.writeHead(400).end();
    const path = url.pathname;
    if (answers.profiling === true && serveProfile(url, response)) return;
    if (path === "/healthz") response.end("ok");
    else if (path === "/readyz")
      response.writeHead(answers.ready() ? 200 : 503).end(answers.ready() ? "ok" : "starting");
    else if (path === "/metrics")
      void Promise.resolve()
        .then(answers.render)
        .then(
          (page) => response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(page),
          (error: unknown) => response.writeHead(500).end(String(error)),
        );
    else response.writeHead(404).end();
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(at.port, at.host, resolve);
  });
  return {
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
