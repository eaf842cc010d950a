import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import type { Readable } from "node:stream";
import type { SecureContext } from "node:tls";
import type { HostPort } from "../wire.ts";
import type { RawHeaders } from "./headers.ts";

/** A server that requests go to. */
export interface Target extends HostPort {
  /** How it is spoken to by TLS; undefined: in plain text. */
  readonly tls: TlsClient | undefined;
}

/** How servers of one kind are trusted. */
export interface TlsClient {
  readonly verify: boolean;
  /** Authorities, versions, ciphers; a new one after the authorities have changed. */
  readonly context: () => SecureContext;
}

/** One request. */
export interface UpstreamCall {
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  readonly headers: RawHeaders;
  /** Whole, or as it comes. */
  readonly body: Buffer | Readable | undefined;
  /** Ends the request, or the answer. */
  readonly signal: AbortSignal;
}

/** Time without a request after which a connection is closed. */
const IDLE_MS = 90_000;
const MAX_HEADER_BYTES = 1024 * 1024;
/** Bytes of a body on its way that are kept, in case the connection turns out to be a dead one. */
const REPLAY_BYTES = 1024 * 1024;

interface SecureAgents {
  readonly secureContext: SecureContext;
  readonly strict: HttpsAgent;
  /** Takes any certificate. */
  readonly lax: HttpsAgent;
}

/** Requests over connections that are kept for the next ones. */
export class Upstreams {
  readonly #maxIdle: number;
  readonly #plain: HttpAgent;
  /** For one context: connections of former authorities end by themselves. */
  #secure: SecureAgents | undefined;

  /** `maxIdle`: connections to one server that are kept while nothing is asked of it. */
  constructor(maxIdle: number) {
    this.#maxIdle = maxIdle;
    this.#plain = new HttpAgent(this.#agentOptions());
  }

  /**
   * Sends a request, and resolves with the answer as soon as its headers are there. Rejects with the connection's error, or the
   * signal's reason; later ones end the answer's body. A kept connection that the server has closed meanwhile is replaced by a
   * new one, where the body is still there to be sent again.
   */
  async send(target: Target, call: UpstreamCall): Promise<IncomingMessage> {
    call.signal.throwIfAborted();
    const replay = new Replay(call.body);
    const first: { request?: ClientRequest } = {};
    try {
      return await this.#exchange(target, call, replay, (request) => (first.request = request));
    } catch (error) {
      if (call.signal.aborted) throw call.signal.reason;
      if (first.request?.reusedSocket !== true || !isClosed(error) || !replay.possible) throw error;
      return await this.#exchange(target, call, replay, () => {}, true);
    }
  }

  /** Closes connections that nothing uses. */
  close(): void {
    for (const agent of [this.#plain, this.#secure?.strict, this.#secure?.lax]) agent?.destroy();
  }

  #exchange(
    target: Target,
    call: UpstreamCall,
    replay: Replay,
    onRequest: (request: ClientRequest) => void,
    fresh = false,
  ): Promise<IncomingMessage> {
    const { method, path, headers, signal } = call;
    return new Promise((resolve, reject) => {
      const request = this.#request(
        target,
        { method, path, headers: [...headers], maxHeaderSize: MAX_HEADER_BYTES },
        fresh,
      );
      onRequest(request);
      let answer: IncomingMessage | undefined;
      const abort = (): void => void (answer ?? request).destroy(signal.reason as Error);
      const release = (): void => signal.removeEventListener("abort", abort);
      signal.addEventListener("abort", abort, { once: true });
      request.once("response", (response) => {
        answer = response;
        response.once("close", release);
        resolve(response);
      });
      request.on("error", (error) => {
        release();
        reject(error);
      });
      replay.sendTo(request);
    });
  }

  #request(target: Target, options: object, fresh: boolean): ClientRequest {
    const { host, port, tls } = target;
    if (tls === undefined) return httpRequest({ ...options, host, port, agent: fresh ? new HttpAgent() : this.#plain });
    const context = tls.context();
    const agents = this.#agentsOf(context);
    const agent = tls.verify ? agents.strict : agents.lax;
    return httpsRequest({
      ...options,
      host,
      port,
      servername: isIP(host) === 0 ? host : "",
      agent: fresh ? new HttpsAgent({ ...agent.options, keepAlive: false }) : agent,
    });
  }

  #agentsOf(secureContext: SecureContext): SecureAgents {
    if (this.#secure?.secureContext === secureContext) return this.#secure;
    const options = { ...this.#agentOptions(), secureContext };
    const [strict, lax] = [new HttpsAgent(options), new HttpsAgent({ ...options, rejectUnauthorized: false })];
    return (this.#secure = { secureContext, strict, lax });
  }

  #agentOptions(): { keepAlive: true; maxFreeSockets: number; timeout: number; scheduling: "lifo" } {
    return { keepAlive: true, maxFreeSockets: this.#maxIdle, timeout: IDLE_MS, scheduling: "lifo" };
  }
}

/** A body that can be sent a second time as long as it is small. */
class Replay {
  readonly #body: Buffer | Readable | undefined;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #ended = false;
  #sink: ClientRequest | undefined;

  constructor(body: Buffer | Readable | undefined) {
    this.#body = body;
  }

  get possible(): boolean {
    return this.#keptBytes <= REPLAY_BYTES;
  }

  sendTo(request: ClientRequest): void {
    const body = this.#body;
    if (body === undefined || Buffer.isBuffer(body)) return void request.end(body);
    const isFirst = this.#sink === undefined;
    this.#sink = request;
    for (const part of this.#kept) request.write(part);
    if (this.#ended) request.end();
    else if (isFirst) this.#follow(body);
    request.on("drain", () => body.resume());
    if (!isFirst) body.resume();
  }

  #follow(body: Readable): void {
    body.on("data", (part: Buffer) => {
      this.#keptBytes += part.length;
      if (this.possible) this.#kept.push(part);
      else this.#kept = [];
      // After a failure there may be nobody to write to until the body is sent anew.
      if (this.#sink?.destroyed === true || this.#sink?.write(part) === false) body.pause();
    });
    body.once("end", () => {
      this.#ended = true;
      this.#sink?.end();
    });
  }
}

/** Whether the peer closed the connection, rather than refused or never answered. */
function isClosed(error: unknown): boolean {
  const code: unknown = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return code === "ECONNRESET" || code === "EPIPE";
}
