import net, { type Socket } from "node:net";
import tls, { type SecureContext } from "node:tls";
import { PageResponse } from "./page-response.ts";
import { ScrapeError } from "./scrape-error.ts";

/** Where a connection leads. */
export interface PageTarget {
  readonly host: string;
  readonly port: number;
  /** Present for TLS. */
  readonly tls: { readonly context: SecureContext; readonly verify: boolean } | undefined;
}

/** What one reading may take. */
export interface PageLimits {
  /** From the first byte sent to the last one received. */
  readonly timeoutMs: number;
  /** Before and after decompression. */
  readonly maxBytes: number;
}

/** A connection without a reading is closed after this long. */
const IDLE_MS = 10_000;
/** All plain connections are read into it in turn: what arrives is taken over before the next one is read. */
const RECEIVED = Buffer.allocUnsafeSlow(64 * 1024);

interface Reading {
  readonly request: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A connection to a server that is kept from one reading to the next; one reading at a time. */
export class PageConnection {
  readonly #target: PageTarget;
  readonly #limits: PageLimits;
  readonly #response: PageResponse;
  #socket: Socket | undefined;
  #reading: Reading | undefined;
  /** Whether the socket has served a reading before. */
  #used = false;

  constructor(target: PageTarget, limits: PageLimits) {
    this.#target = target;
    this.#limits = limits;
    this.#response = new PageResponse(limits.maxBytes);
  }

  /** Whether the connection is worth keeping. */
  get open(): boolean {
    return this.#socket !== undefined;
  }

  /**
   * Sends a request and reads the page, which stays valid until the next reading. Rejects with `ScrapeError`, or with the
   * signal's reason.
   */
  async read(request: string, signal: AbortSignal): Promise<{ readonly page: Buffer; readonly gzip: boolean }> {
    signal.throwIfAborted();
    const { timeoutMs } = this.#limits;
    const abort = (): void => this.#fail(signal.reason);
    const expire = (): void => this.#fail(new ScrapeError("timeout", `no whole page within ${timeoutMs} ms`));
    const timer = setTimeout(expire, timeoutMs);
    signal.addEventListener("abort", abort);
    try {
      await new Promise<void>((resolve, reject) => this.#begin({ request, resolve, reject }));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
    return this.#response;
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }

  #begin(reading: Reading): void {
    this.#reading = reading;
    this.#response.reset();
    this.#used = this.#socket !== undefined;
    this.#socket ??= this.#connect();
    this.#socket.write(reading.request, "latin1");
  }

  #connect(): Socket {
    const { host, port, tls: secure } = this.#target;
    const socket =
      secure === undefined
        ? net.connect({ host, port, noDelay: true, onread: { buffer: RECEIVED, callback: this.#onRead } })
        : tls.connect({
            host,
            port,
            secureContext: secure.context,
            rejectUnauthorized: secure.verify,
            ...(net.isIP(host) === 0 ? { servername: host } : {}),
          });
    if (secure !== undefined) socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    let problem: Error | undefined;
    socket.on("error", (error) => (problem = error));
    socket.on("end", () => this.#onEnd(socket));
    socket.on("close", () => this.#onClose(socket, problem));
    return socket;
  }

  readonly #onRead = (length: number): boolean => {
    this.#receive(RECEIVED.subarray(0, length));
    return true;
  };

  #receive(bytes: Buffer): void {
    if (this.#reading === undefined) return this.close();
    try {
      if (this.#response.push(bytes)) this.#finish();
    } catch (error) {
      this.#fail(error);
    }
  }

  #onEnd(socket: Socket): void {
    if (socket !== this.#socket || this.#reading === undefined || this.#isStale) return;
    try {
      this.#response.end();
      this.#finish();
    } catch (error) {
      this.#fail(error);
    }
  }

  #onClose(socket: Socket, problem: Error | undefined): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    if (this.#reading === undefined) return;
    if (this.#isStale) return this.#begin(this.#reading);
    this.#fail(new ScrapeError("unreachable", "cannot be reached", problem === undefined ? {} : { cause: problem }));
  }

  /** Whether the server closed a kept connection before it saw the request: then a new one is tried. */
  get #isStale(): boolean {
    return this.#used && this.#response.untouched;
  }

  #finish(): void {
    const reading = this.#reading;
    this.#reading = undefined;
    if (!this.#response.reusable) this.close();
    reading?.resolve();
  }

  #fail(error: unknown): void {
    const reading = this.#reading;
    this.#reading = undefined;
    this.close();
    reading?.reject(error);
  }
}
