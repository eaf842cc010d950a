import net, { type AddressInfo, type Socket } from "node:net";
import tls from "node:tls";
import { Connection } from "./http2/connection.ts";
import { MemoryBudget } from "./memory-budget.ts";
import type { GrpcServer, ServerSettings } from "./transport.ts";

const HANDSHAKE_TIMEOUT_MS = 10_000;
/**
 * Connections at once; further ones are closed. Each takes up to half a MiB of its own: buffers of the socket and of frames,
 * and the state of TLS. Proxies open one for each of their threads, so that this is enough for dozens of large ones.
 */
const MAX_CONNECTIONS = 1024;

/**
 * Starts a gRPC server with an HTTP/2 of its own, which does what gRPC needs and no more: a call costs a fraction of the CPU
 * that it does on a general library, which builds streams and objects for each. Rejects where the address cannot be bound.
 */
export async function startGrpcServer(settings: ServerSettings): Promise<GrpcServer> {
  const sockets = new Set<Socket>();
  const connections = new Set<Connection>();
  const memory = new MemoryBudget(settings.maxHeldBytes);
  const serve = (socket: Socket): void => {
    const connection = new Connection(socket, { ...settings, memory: memory.half(), now: () => performance.now() });
    connections.add(connection);
    socket.once("close", () => connections.delete(connection));
  };
  const server = createServer(settings, serve);
  server.maxConnections = MAX_CONNECTIONS;
  // Beneath TLS this is the socket of a handshake that may never end.
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await listen(server, settings);
  return {
    port: (server.address() as AddressInfo).port,
    memory,
    setCertificate: (certificate, privateKey) => {
      if (server instanceof tls.Server) server.setSecureContext(checkedPair(certificate, privateKey));
    },
    close: (graceMs) => close(server, connections, sockets, graceMs),
  };
}

/** Throws where certificate and key are damaged or do not belong together. */
function checkedPair(cert: string, key: string): { cert: string; key: string } {
  tls.createSecureContext({ cert, key });
  return { cert, key };
}

function createServer({ tls: pair }: ServerSettings, serve: (socket: Socket) => void): net.Server {
  if (pair === undefined) return net.createServer(serve);
  const options = {
    ...checkedPair(pair.certificate, pair.privateKey),
    ...(pair.minVersion === undefined ? {} : { minVersion: pair.minVersion }),
    ...(pair.ciphers === undefined ? {} : { ciphers: pair.ciphers }),
    ALPNProtocols: ["h2"],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  };
  return tls.createServer(options, serve);
}

function listen(server: net.Server, { host, port }: ServerSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      // Handshakes that fail are their client's problem.
      server.on("error", () => undefined).on("tlsClientError", () => undefined);
      resolve();
    });
  });
}

async function close(
  server: net.Server,
  connections: ReadonlySet<Connection>,
  sockets: ReadonlySet<Socket>,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  for (const connection of connections) connection.drain();
  const timer = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, graceMs);
  await closed;
  clearTimeout(timer);
}
