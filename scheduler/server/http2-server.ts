import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { createSecureContext } from "node:tls";
import { gunzipSync } from "node:zlib";
import { FRAME_HEADER_BYTES } from "../extproc/wire.ts";
import { type Call, type CallHandler, GRPC_STATUS, type GrpcServer, type ServerSettings } from "./transport.ts";

/** Bytes that a client may send ahead on one stream: a whole long prompt without waiting for updates. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
/** … and on one connection. */
const SESSION_WINDOW_BYTES = 16 * 1024 * 1024;
/** A connection's memory bound, in the megabytes that node:http2 counts in: flow control limits it before. */
const SESSION_MEMORY_MB = 2048;
/** A proxy resets a stream whenever its client leaves; what is counted as an attack has to lie beyond that. */
const STREAM_RESETS = { streamResetBurst: 100_000, streamResetRate: 20_000 };
const CONTENT_TYPE = "application/grpc";

/**
 * Starts a gRPC server on node:http2, with the framing of github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. Half
 * the CPU of a general gRPC library, which builds objects for each call that nothing here needs. Rejects where the
 * address cannot be bound.
 */
export async function startGrpcServer(settings: ServerSettings): Promise<GrpcServer> {
  const server = createHttp2Server(settings);
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", () => session.destroy());
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
  });
  server.on("stream", (stream, headers) => serve(stream, headers, settings));
  await listen(server, settings);
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: (certificate, privateKey) => {
      if ("setSecureContext" in server) server.setSecureContext(checkedPair(certificate, privateKey));
    },
    close: (graceMs) => close(server, sessions, graceMs),
  };
}

/** Throws where certificate and key are damaged or do not belong together. */
function checkedPair(cert: string, key: string): { cert: string; key: string } {
  createSecureContext({ cert, key });
  return { cert, key };
}

function createHttp2Server(settings: ServerSettings): http2.Http2Server | http2.Http2SecureServer {
  const options = {
    settings: { initialWindowSize: STREAM_WINDOW_BYTES, maxConcurrentStreams: 2 ** 31 - 1, enablePush: false },
    maxSessionMemory: SESSION_MEMORY_MB,
    ...STREAM_RESETS,
  };
  const { tls } = settings;
  if (tls === undefined) return http2.createServer(options);
  return http2.createSecureServer({
    ...options,
    ...checkedPair(tls.certificate, tls.privateKey),
    ...(tls.minVersion === undefined ? {} : { minVersion: tls.minVersion }),
    ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers }),
    ALPNProtocols: ["h2"],
  });
}

function listen(server: http2.Http2Server | http2.Http2SecureServer, { host, port }: ServerSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      // Handshakes that fail are their client's problem.
      server.on("error", () => undefined).on("sessionError", () => undefined);
      resolve();
    });
  });
}

async function close(
  server: http2.Http2Server | http2.Http2SecureServer,
  sessions: ReadonlySet<http2.ServerHttp2Session>,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  for (const session of sessions) session.close();
  const timer = setTimeout(() => {
    for (const session of sessions) session.destroy();
  }, graceMs);
  await closed;
  clearTimeout(timer);
}

function serve(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, settings: ServerSettings): void {
  stream.on("error", () => undefined);
  if (headers[":method"] !== "POST" || !headers["content-type"]?.startsWith(CONTENT_TYPE)) {
    stream.respond({ ":status": 415 }, { endStream: true });
    return;
  }
  const method = settings.methods.get(headers[":path"] ?? "");
  const call = new Http2Call(stream);
  if (method === undefined) call.end(GRPC_STATUS.unimplemented, `unknown method ${headers[":path"]}`);
  else receive(stream, call, method(call), headers["grpc-encoding"] === "gzip", settings.maxMessageBytes);
}

function receive(
  stream: http2.ServerHttp2Stream,
  call: Http2Call,
  handler: CallHandler,
  gzip: boolean,
  maxMessageBytes: number,
): void {
  const frames = new FrameReader(maxMessageBytes, gzip);
  stream.on("data", (chunk: Buffer) => {
    if (call.ended) return;
    const problem = frames.push(chunk, (message) => handler.onMessage(message));
    if (problem === undefined) return;
    call.end(problem.status, problem.message);
    handler.onCancel();
  });
  stream.on("end", () => {
    // A reset ends the readable side as well, just before it destroys the stream.
    setImmediate(() => {
      if (!call.ended && !stream.destroyed) handler.onHalfClose();
    });
  });
  stream.on("close", () => {
    if (call.ended) return;
    call.ended = true;
    handler.onCancel();
  });
}

class Http2Call implements Call {
  ended = false;
  readonly #stream: http2.ServerHttp2Stream;

  constructor(stream: http2.ServerHttp2Stream) {
    this.#stream = stream;
  }

  send(frames: Buffer): void {
    const stream = this.#stream;
    if (this.ended || stream.destroyed) return;
    if (!stream.headersSent)
      stream.respond({ ":status": 200, "content-type": CONTENT_TYPE }, { waitForTrailers: true });
    // A client that does not read gets no more read from it, so that what waits for it stays bounded.
    if (stream.write(frames) || stream.isPaused()) return;
    stream.pause();
    stream.once("drain", () => stream.resume());
  }

  end(status: number, message?: string): void {
    const stream = this.#stream;
    if (this.ended) return;
    this.ended = true;
    if (stream.destroyed) return;
    const trailers = {
      "grpc-status": String(status),
      ...(message === undefined ? {} : { "grpc-message": percentEncode(message) }),
    };
    if (stream.headersSent) {
      stream.once("wantTrailers", () => stream.sendTrailers(trailers));
      stream.end();
    } else stream.respond({ ":status": 200, "content-type": CONTENT_TYPE, ...trailers }, { endStream: true });
    stream.resume();
  }
}

/** Percent-encoding of `grpc-message`: all but printable ASCII, and the percent sign. */
function percentEncode(text: string): string {
  return text.replace(/[^ -$&-~]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

interface Problem {
  readonly status: number;
  readonly message: string;
}

/** Cuts a byte stream into gRPC messages. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #gzip: boolean;
  #parts: Buffer[] = [];
  #held = 0;
  /** Bytes to hold before the next look: a frame's header or the whole frame. */
  #needed = FRAME_HEADER_BYTES;

  constructor(maxBytes: number, gzip: boolean) {
    this.#maxBytes = maxBytes;
    this.#gzip = gzip;
  }

  /** Calls `deliver` for each message that `chunk` completes. Returns why the stream cannot be read any further. */
  push(chunk: Buffer, deliver: (message: Buffer) => void): Problem | undefined {
    this.#parts.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#needed) return undefined;
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#held);
    let at = 0;
    this.#needed = FRAME_HEADER_BYTES;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const length = bytes.readUInt32BE(at + 1);
      if (length > this.#maxBytes) return tooLarge(length, this.#maxBytes);
      const start = at + FRAME_HEADER_BYTES;
      this.#needed = FRAME_HEADER_BYTES + length;
      if (start + length > bytes.length) break;
      const message = this.#plain(bytes[at]!, bytes.subarray(start, start + length));
      if (!Buffer.isBuffer(message)) return message;
      at = start + length;
      this.#needed = FRAME_HEADER_BYTES;
      deliver(message);
    }
    this.#held = bytes.length - at;
    this.#parts = this.#held === 0 ? [] : [bytes.subarray(at)];
    return undefined;
  }

  #plain(flag: number, message: Buffer): Buffer | Problem {
    if (flag === 0) return message;
    if (flag !== 1 || !this.#gzip)
      return { status: GRPC_STATUS.unimplemented, message: "message compression other than gzip is not supported" };
    try {
      return gunzipSync(message, { maxOutputLength: this.#maxBytes });
    } catch {
      return { status: GRPC_STATUS.internal, message: "compressed message is damaged or too large" };
    }
  }
}

const tooLarge = (length: number, maxBytes: number): Problem => ({
  status: GRPC_STATUS.resourceExhausted,
  message: `received message larger than max (${length} vs. ${maxBytes})`,
});
