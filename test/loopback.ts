import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { ClusterAccess } from "../kube/http-transport.ts";

/** An HTTP server on a free loopback port. */
export interface LoopbackServer {
  readonly url: string;
  /** Ends it with all its connections. */
  close(): Promise<void>;
}

/** Starts an HTTP server on a free loopback port. */
export async function listenOnLoopback(listener: RequestListener): Promise<LoopbackServer> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Access to a plain HTTP server without credentials. */
export function plainAccess(server: string): ClusterAccess {
  return {
    getCurrentCluster: () => ({ name: "loopback", server, skipTLSVerify: true }),
    applyToHTTPSOptions: () => Promise.resolve(),
  };
}
