import { type RequestListener, createServer, type ServerOptions, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { CertificatePair } from "../../kube/x509.ts";
import { TLS_LIMITS } from "./authorities.ts";

/** A listening HTTP server. */
export interface Listener {
  readonly port: number;
  /** Takes another certificate for connections from now on. Throws for one that cannot be used. */
  setCertificate(pair: CertificatePair): void;
  /** Stops accepting, lets running answers finish for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

const READ_HEADERS_MS = 30_000;
const IDLE_MS = 300_000;
const MAX_HEADER_BYTES = 1024 * 1024;
/** How often connections without a request are looked for at the end. */
const SWEEP_MS = 100;

/** Serves requests on an address, by TLS where there is a certificate. Rejects where the address cannot be bound. */
export async function startListener(
  { host, port }: { readonly host: string; readonly port: number },
  certificate: CertificatePair | undefined,
  listener: RequestListener,
): Promise<Listener> {
  const options: ServerOptions = {
    headersTimeout: READ_HEADERS_MS,
    keepAliveTimeout: IDLE_MS,
    // A prompt may take as long as it takes to arrive, and an answer as long as it takes to compute.
    requestTimeout: 0,
    maxHeaderSize: MAX_HEADER_BYTES,
    noDelay: true,
  };
  const secure = certificate === undefined ? undefined : createSecureServer({ ...options, ...contextOf(certificate) });
  const server = secure ?? createServer(options);
  server.maxHeadersCount = 0;
  const open = new Set<ServerResponse>();
  server.on("request", (request, response: ServerResponse) => {
    open.add(response);
    response.once("close", () => open.delete(response));
    listener(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen({ host, port }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: (pair) => secure?.setSecureContext(contextOf(pair)),
    close: (graceMs) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), graceMs);
        const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
        server.close(() => {
          clearTimeout(cut);
          clearInterval(sweep);
          resolve();
        });
        for (const response of open) response.shouldKeepAlive = false;
      }),
  };
}

function contextOf({ certificate, privateKey }: CertificatePair): Parameters<SecureServer["setSecureContext"]>[0] {
  return { ...TLS_LIMITS, cert: certificate, key: privateKey };
}
