import { createServer } from "node:http";

/** A listening health server. */
export interface HealthServer {
  close(): Promise<void>;
}

/** Serves `/healthz`, `/readyz` and `/metrics` over plain HTTP. Errors: those of listening. */
export async function startHealthServer(
  at: { readonly host: string; readonly port: number },
  answers: { readonly ready: () => boolean; readonly render: () => string | Promise<string> },
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0];
    if (path === "/healthz") response.end("ok");
    else if (path === "/readyz")
      response.writeHead(answers.ready() ? 200 : 503).end(answers.ready() ? "ok" : "starting");
    else if (path === "/metrics")
      void Promise.resolve(answers.render()).then((page) =>
        response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(page),
      );
    else response.writeHead(404).end();
  });
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
