import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, type AgentOptions, request as httpsRequest, type RequestOptions } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { KubeError } from "./types.ts";

/** What the transport needs of a loaded kubeconfig. */
export type ClusterAccess = Pick<KubeConfig, "getCurrentCluster" | "applyToHTTPSOptions">;

/** One HTTP request. */
export interface HttpCall {
  readonly method: string;
  /** Path with query, below the server's own path. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The request fails when no byte moves for this long. */
  readonly idleMs: number;
}

/** Idle time after which TCP probes the peer: a half-open connection is found within a minute. */
const TCP_KEEPALIVE_MS = 30_000;

/** Requests over keep-alive connections to the API server of a kubeconfig, authorized anew each time. */
export class HttpTransport {
  readonly #access: ClusterAccess;
  #agent: HttpAgent | undefined;
  #material: readonly unknown[] = [];

  constructor(access: ClusterAccess) {
    this.#access = access;
  }

  /**
   * Sends a request and resolves with the response, whatever its status, as soon as the headers are there.
   * Errors: `KubeError` of code 0 (`ConnectionFailed`, `Timeout`), or the signal's reason. They also end the body stream.
   */
  async open(call: HttpCall): Promise<IncomingMessage> {
    call.signal?.throwIfAborted();
    try {
      const options = await this.#requestOptions(call);
      return await this.#sendFresh(options, call);
    } catch (error) {
      throw asConnectionError(error, call.signal);
    }
  }

  /** Closes idle and busy connections. */
  close(): void {
    this.#agent?.destroy();
  }

  /** A kept-alive socket may die just as it is reused; a read is then repeated, as nothing can have happened twice. */
  async #sendFresh(options: RequestOptions, call: HttpCall): Promise<IncomingMessage> {
    const first: { request?: ClientRequest } = {};
    try {
      return await exchange(options, call, (request) => (first.request = request));
    } catch (error) {
      const stale = first.request?.reusedSocket === true && isReset(error);
      if (!stale || call.method !== "GET" || call.signal?.aborted === true) throw error;
      return exchange(options, call, () => {});
    }
  }

  async #requestOptions(call: HttpCall): Promise<RequestOptions> {
    const cluster = this.#access.getCurrentCluster();
    if (cluster === null) throw new Error("the kubeconfig has no current cluster");
    const access: RequestOptions = {};
    await this.#access.applyToHTTPSOptions(access);
    const server = new URL(cluster.server);
    return {
      protocol: server.protocol,
      hostname: server.hostname.replace(/^\[|\]$/g, ""),
      port: server.port,
      path: server.pathname.replace(/\/$/, "") + call.path,
      method: call.method,
      headers: { ...plainHeaders(access.headers), ...call.headers },
      auth: access.auth,
      agent: cluster.proxyUrl === undefined ? this.#keepAliveAgent(server, access) : access.agent,
    };
  }

  /** One agent as long as the TLS material stays the same; rotated certificates get a new one. */
  #keepAliveAgent(server: URL, access: RequestOptions): HttpAgent {
    const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = access;
    const material = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized };
    const values = Object.values(material);
    const same = values.every((value, index) => isSameMaterial(value, this.#material[index]));
    if (this.#agent !== undefined && same) return this.#agent;
    this.#material = values;
    const options: AgentOptions = { keepAlive: true, keepAliveMsecs: TCP_KEEPALIVE_MS };
    this.#agent =
      server.protocol === "http:" ? new HttpAgent(options) : new HttpsAgent(definedOnly({ ...options, ...material }));
    return this.#agent;
  }
}

/** Keys and certificates are texts, bytes or lists of them, which are read anew for each request. */
function isSameMaterial(value: unknown, other: unknown): boolean {
  if (value === other) return true;
  if (value instanceof Uint8Array) return other instanceof Uint8Array && Buffer.compare(value, other) === 0;
  if (typeof value !== "object" || typeof other !== "object") return false;
  return JSON.stringify(value) === JSON.stringify(other);
}

/** Absent and undefined differ for Node's TLS options. */
function definedOnly(options: AgentOptions): AgentOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function plainHeaders(headers: RequestOptions["headers"]): Record<string, string> {
  if (headers === undefined || Array.isArray(headers)) return {};
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

function exchange(
  options: RequestOptions,
  call: HttpCall,
  onRequest: (request: ClientRequest) => void,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = options.protocol === "http:" ? httpRequest : httpsRequest;
    let response: IncomingMessage | undefined;
    const request = send(options, (answer) => {
      response = answer;
      answer.once("close", release);
      resolve(answer);
    });
    onRequest(request);
    const fail = (error: Error): unknown => (response ?? request).destroy(error);
    const abort = (): unknown => fail(asError(call.signal?.reason));
    const release = (): void => call.signal?.removeEventListener("abort", abort);
    call.signal?.addEventListener("abort", abort, { once: true });
    request.setTimeout(call.idleMs, () => fail(stalled(call.idleMs)));
    request.on("error", (error) => {
      release();
      reject(error);
    });
    request.end(call.body);
  });
}

function stalled(idleMs: number): KubeError {
  return new KubeError({ code: 0, reason: "Timeout", message: `no data from the API server for ${idleMs} ms` });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** Whether the peer closed the connection. */
export function isReset(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === "ECONNRESET";
}

/** What to throw for an error of a connection: the signal's reason once aborted, else a `KubeError` of code 0. */
export function asConnectionError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof KubeError) return error;
  const message = "cannot talk to the API server";
  return new KubeError({ code: 0, reason: "ConnectionFailed", message, cause: error });
}
