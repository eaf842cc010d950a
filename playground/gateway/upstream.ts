import { Agent as HttpAgent, type ClientRequest, type OutgoingHttpHeaders, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { connect } from "node:tls";
import type { Writable } from "node:stream";

/** A server process and whether it speaks TLS. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** Addresses whose protocol is remembered. */
const MAX_KNOWN = 4096;
const HANDSHAKE_TIMEOUT_MS = 3000;

/** Hop-by-hop headers, which end at a proxy (RFC 9110 §7.6.1). */
const HOP_BY_HOP = new Set(
  "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade".split(
    " ",
  ),
);

/** Connections to the servers behind the gateway. */
export interface Upstreams {
  /**
   * The target at an address: a server that completes a TLS handshake speaks TLS, any other plain text. Learnt by trying
   * once, so that pools need no statement of their protocol. Rejects where nothing listens.
   */
  resolve(host: string, port: number): Promise<Target>;
  /** Forgets what an address speaks, because a connection to it failed. */
  forget(target: Target): void;
  request(target: Target, options: { method: string; path: string; headers: OutgoingHttpHeaders }): ClientRequest;
  close(): void;
}

/** Creates the connections; certificates of pods are self-signed and not checked. */
export function createUpstreams(): Upstreams {
  const known = new Map<string, Promise<Target>>();
  const plain = new HttpAgent({ keepAlive: true });
  const secure = new HttpsAgent({ keepAlive: true, rejectUnauthorized: false });
  const forget = (target: { host: string; port: number }) => known.delete(`${target.host}:${target.port}`);
  return {
    resolve: (host, port) => {
      const key = `${host}:${port}`;
      const present = known.get(key);
      if (present !== undefined) return present;
      if (known.size >= MAX_KNOWN) known.clear();
      const found = detect(host, port);
      known.set(key, found);
      found.catch(() => forget({ host, port }));
      return found;
    },
    forget,
    request: (target, options) => {
      const common = { host: target.host, port: target.port, ...options };
      return target.secure
        ? httpsRequest({ ...common, agent: secure, servername: "" })
        : httpRequest({ ...common, agent: plain });
    },
    close: () => {
      plain.destroy();
      secure.destroy();
    },
  };
}

function detect(host: string, port: number): Promise<Target> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ["h2", "http/1.1"] });
    const settle = (secure: boolean): void => {
      socket.destroy();
      resolve({ host, port, secure });
    };
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => settle(false));
    socket.once("secureConnect", () => settle(true));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "EHOSTUNREACH") reject(error);
      else settle(false);
    });
    socket.once("close", () => settle(false));
  });
}

/** The headers without those that end at a proxy. */
export function endToEnd<T>(headers: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase())));
}

/** Writes, and resolves when there is room for more or the stream is gone. */
export async function writeTo(sink: Writable, chunk: Uint8Array): Promise<void> {
  if (sink.destroyed || sink.writableEnded || chunk.length === 0 || sink.write(chunk)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      sink.off("drain", done).off("close", done);
      resolve();
    };
    sink.once("drain", done).once("close", done);
  });
}
