import { type RequestListener, type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describeError } from "../../telemetry/log.ts";

/** Time for the headers of a request. */
const HEADERS_MS = 10_000;
/** A connection on which nothing moves for so long is cut: longer than a model server thinks about its first token. */
const IDLE_MS = 600_000;
const MAX_CONNECTIONS = 10_000;

/** HTTP servers of the gateway, one a port. */
export interface Listeners {
  /** Ports that cannot be listened on, and why. */
  readonly failures: ReadonlyMap<number, string>;
  /** Listens on a port; 0 takes any. Rejects where that is not possible. Returns the port. */
  open(port: number): Promise<number>;
  /** Listens on exactly these ports and on `kept`; a port that cannot be had shows in `failures`. */
  adjust(ports: ReadonlySet<number>, kept: number): Promise<void>;
  close(): Promise<void>;
}

/** Creates listeners on `host`; `serve` gets the port that a request came in on. */
export function createListeners(
  host: string,
  serve: (port: number, ...exchange: Parameters<RequestListener>) => void,
): Listeners {
  const servers = new Map<number, Server>();
  const failures = new Map<number, string>();
  const open = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      let bound = port;
      const server = createServer((request, response) => serve(bound, request, response));
      // A body may take its time, as long as something moves.
      server.requestTimeout = 0;
      server.headersTimeout = HEADERS_MS;
      server.setTimeout(IDLE_MS);
      server.maxConnections = MAX_CONNECTIONS;
      server.once("error", reject);
      server.listen({ host, port }, () => {
        bound = (server.address() as AddressInfo).port;
        servers.set(bound, server);
        failures.delete(bound);
        resolve(bound);
      });
    });
  const closeOne = (port: number): Promise<void> => {
    const server = servers.get(port);
    servers.delete(port);
    return new Promise((resolve) => {
      if (server === undefined) return resolve();
      server.close(() => resolve());
      server.closeAllConnections();
    });
  };
  return {
    failures,
    open,
    adjust: async (ports, kept) => {
      for (const port of servers.keys()) if (port !== kept && !ports.has(port)) await closeOne(port);
      for (const port of failures.keys()) if (!ports.has(port)) failures.delete(port);
      for (const port of ports)
        if (!servers.has(port))
          await open(port).catch((error: unknown) => failures.set(port, `port ${port}: ${describeError(error)}`));
    },
    close: async () => {
      await Promise.all([...servers.keys()].map(closeOne));
    },
  };
}
