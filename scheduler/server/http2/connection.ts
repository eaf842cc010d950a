import type { Socket } from "node:net";
import type { MemoryBudget } from "../memory-budget.ts";
import { GRPC_STATUS, type Methods } from "../transport.ts";
import { type CallRequest, readCallRequest } from "./call-request.ts";
import { FrameWriter } from "./frame-writer.ts";
import {
  ConnectionError,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  type FrameSink,
  FrameSplitter,
  H2_ERROR,
  MAX_WINDOW,
  PREFACE,
  SETTING,
  StreamError,
} from "./frames.ts";
import { HeaderBlock } from "./header-block.ts";
import { HpackDecoder } from "./hpack.ts";
import { MessageReader } from "./message-reader.ts";
import { Outbound } from "./outbound.ts";
import { encodeSettings } from "./peer-settings.ts";
import { RateLimit } from "./rate-limit.ts";
import { MAX_HEADER_LIST_BYTES, RequestHead } from "./request-head.ts";
import { StreamTable } from "./stream-table.ts";
import { STREAM_BYTES, STREAM_WINDOW_BYTES, ServerStream, type StreamHost, httpAnswer } from "./stream.ts";

/**
 * Bytes that a client may send ahead over all streams of a connection: what is on its way at 10 Gbit/s and 13 ms. Windows say
 * how fast content comes, not how much is held: a request is needed whole before it can be answered, so that a window that
 * waited for that would never open again once every stream has sent a part. What is held is counted in a budget instead, and
 * the request that exceeds it is refused.
 */
const WINDOW_BYTES = 16 * 1024 * 1024;
/**
 * Streams at once, which last as long as their answers. A proxy that needs more opens another connection; an idle stream
 * costs a few KiB, so that all of them fit the budget.
 */
const MAX_STREAMS = 10_000;
/**
 * Resets, pings, settings and other frames that make work and carry no request. A proxy resets a stream whenever its client
 * leaves, so that what counts as an attack has to lie beyond that.
 */
const NUISANCE = { burst: 100_000, perSecond: 20_000 };
/** A client that has not introduced itself by then is none. */
const HELLO_TIMEOUT_MS = 10_000;
/** Time for the client to close its side as well, and to read what it was sent: closing with bytes unread resets. */
const LINGER_MS = 1000;
const PING_BYTES = 8;
const DRAIN_PING = Buffer.from("draining");
const NONE = Buffer.alloc(0);

const SETTINGS = encodeSettings([
  [SETTING.maxConcurrentStreams, MAX_STREAMS],
  [SETTING.initialWindowSize, STREAM_WINDOW_BYTES],
  [SETTING.maxHeaderListSize, MAX_HEADER_LIST_BYTES],
]);

/** What all connections of a server share. */
export interface ConnectionSettings {
  readonly methods: Methods;
  readonly maxMessageBytes: number;
  /** What the connection's client can make the server hold. */
  readonly memory: MemoryBudget;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** The server's side of one HTTP/2 connection that carries gRPC calls (RFC 9113). */
export class Connection implements FrameSink, StreamHost {
  readonly #socket: Socket;
  readonly #settings: ConnectionSettings;
  readonly #writer: FrameWriter;
  readonly #splitter = new FrameSplitter(this);
  readonly #hpack = new HpackDecoder();
  readonly #outbound: Outbound;
  readonly #nuisance: RateLimit;
  readonly #streams = new StreamTable();
  /** Streams whose requests are complete since the last look. */
  #ended: ServerStream[] = [];
  #hello: Buffer | undefined = NONE;
  #greeted = false;
  #block: HeaderBlock | undefined;
  #receiveWindow = WINDOW_BYTES;
  #draining: "no" | "announced" | "refusing" = "no";
  /** Last stream that a GOAWAY has named; it may only go down. */
  #lastNamed = MAX_WINDOW;
  #closed = false;

  /** Takes the socket over. */
  constructor(socket: Socket, settings: ConnectionSettings) {
    this.#socket = socket;
    this.#settings = settings;
    this.#writer = new FrameWriter(socket, () => this.#outbound.resume());
    this.#outbound = new Outbound(this.#writer);
    this.#nuisance = new RateLimit(NUISANCE.burst, NUISANCE.perSecond, settings.now);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    // After a pause of this process what has come meanwhile is read first.
    socket.setTimeout(HELLO_TIMEOUT_MS, () => setImmediate(() => this.#greeted || socket.destroy()));
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => undefined);
    socket.on("drain", () => socket.resume());
    socket.on("close", () => this.#cancelAll());
    this.#writer.frame(FRAME.settings, 0, 0, SETTINGS);
    this.#writer.windowUpdate(0, WINDOW_BYTES - DEFAULT_WINDOW);
  }

  /** Asks the client to use another connection, lets calls under way end, then closes. */
  drain(): void {
    if (this.#draining !== "no" || this.#closed) return;
    this.#draining = "announced";
    // Streams that the client has opened meanwhile are served: the answer to the ping tells that none are on their way.
    this.#goAway(MAX_WINDOW, H2_ERROR.none, "");
    this.#writer.frame(FRAME.ping, 0, 0, DRAIN_PING);
  }

  onData(streamId: number, content: Buffer, flowBytes: number, end: boolean): void {
    if (this.#block !== undefined) throw protocolError("DATA within a header block");
    this.#receiveWindow -= flowBytes;
    if (this.#receiveWindow < 0) throw new ConnectionError(H2_ERROR.flowControl, "more content than allowed");
    if (this.#receiveWindow < WINDOW_BYTES / 2) {
      this.#writer.windowUpdate(0, WINDOW_BYTES - this.#receiveWindow);
      this.#receiveWindow = WINDOW_BYTES;
    }
    if (flowBytes === 0 && !end) this.#annoyed();
    this.#guarded(() => this.#streams.existing(streamId, "DATA")?.receive(content, flowBytes, end));
  }

  onFrame(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (this.#block !== undefined && (type !== FRAME.continuation || streamId !== this.#block.streamId))
      throw protocolError("a frame within a header block");
    if (!this.#greeted && type !== FRAME.settings) throw protocolError("the first frame is no SETTINGS");
    this.#guarded(() => this.#dispatch(type, flags, streamId, payload));
  }

  sendHead({ id }: ServerStream, block: Buffer, end: boolean): void {
    this.#outbound.sendHead(id, block, end);
  }

  sendContent(stream: ServerStream, bytes: Buffer): number {
    return this.#outbound.send(stream, bytes);
  }

  hold(bytes: number): boolean {
    if (bytes > 0) return this.#settings.memory.take(bytes);
    this.#settings.memory.give(-bytes);
    return true;
  }

  grant({ id }: ServerStream, bytes: number): void {
    this.#writer.windowUpdate(id, bytes);
  }

  ended(stream: ServerStream): void {
    this.#ended.push(stream);
  }

  finished(stream: ServerStream): void {
    if (!this.#forget(stream.id)) return;
    // The client may stop sending: it has its answer.
    if (!stream.remoteClosed) this.#sendReset(stream.id, H2_ERROR.none);
    this.#closeIfDrained();
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      const bytes = this.#hello === undefined ? chunk : this.#greet(chunk);
      if (bytes.length > 0) this.#splitter.push(bytes);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#fail(error);
    }
    this.#halfClose();
    this.#writer.flush();
    // Who does not read gets nothing more read from it.
    if (this.#socket.writableNeedDrain) this.#socket.pause();
  }

  /** Clients that abandon a call may end its request first and reset it right behind: that is no half-close. */
  #halfClose(): void {
    if (this.#ended.length === 0) return;
    const ended = this.#ended;
    this.#ended = [];
    for (const stream of ended) stream.halfClose();
  }

  /** Checks the preface and returns what follows it. */
  #greet(chunk: Buffer): Buffer {
    const bytes = Buffer.concat([this.#hello ?? NONE, chunk]);
    const length = Math.min(bytes.length, PREFACE.length);
    if (!bytes.subarray(0, length).equals(PREFACE.subarray(0, length))) throw protocolError("this is no HTTP/2");
    this.#hello = length < PREFACE.length ? bytes : undefined;
    return bytes.subarray(PREFACE.length);
  }

  #dispatch(type: number, flags: number, streamId: number, payload: Buffer): void {
    switch (type) {
      case FRAME.headers:
        if (streamId === 0) throw protocolError("HEADERS without a stream");
        this.#block = new HeaderBlock(streamId, flags, payload);
        return this.#finishBlock();
      case FRAME.continuation:
        if (this.#block === undefined) throw protocolError("CONTINUATION without HEADERS");
        this.#block.continue(flags, payload);
        return this.#finishBlock();
      case FRAME.rstStream:
        return this.#onReset(streamId, payload);
      case FRAME.windowUpdate:
        return this.#onWindowUpdate(streamId, payload);
      case FRAME.settings:
        return this.#onSettings(flags, streamId, payload);
      case FRAME.ping:
        return this.#onPing(flags, streamId, payload);
      case FRAME.goAway:
        if (streamId !== 0) throw protocolError("GOAWAY on a stream");
        return this.#annoyed();
      case FRAME.priority:
        return this.#onPriority(streamId, payload);
      case FRAME.pushPromise:
        throw protocolError("PUSH_PROMISE from a client");
      default:
        this.#annoyed();
    }
  }

  #finishBlock(): void {
    const block = this.#block;
    if (block === undefined || !block.complete) return;
    this.#block = undefined;
    const { streamId } = block;
    const stream = this.#streams.get(streamId);
    const head = new RequestHead(stream !== undefined);
    // Always decoded: the table's state has to follow.
    this.#hpack.decode(block.bytes, (name, value) => head.add(name, value));
    if (stream !== undefined) this.#onTrailers(stream, head, block.endsStream);
    else if (this.#streams.isNew(streamId)) this.#open(streamId, head, block.endsStream);
    else if (!this.#streams.wasReset(streamId))
      throw new ConnectionError(H2_ERROR.streamClosed, "HEADERS on a closed stream");
  }

  #onTrailers(stream: ServerStream, head: RequestHead, ends: boolean): void {
    if (stream.remoteClosed) throw new StreamError(stream.id, H2_ERROR.streamClosed, "HEADERS after the end");
    if (!ends) throw new StreamError(stream.id, H2_ERROR.protocol, "HEADERS within the content");
    if (head.problem !== undefined) throw new StreamError(stream.id, H2_ERROR.protocol, head.problem);
    stream.closeRemote();
  }

  #open(streamId: number, head: RequestHead, ends: boolean): void {
    this.#streams.begin(streamId);
    if (this.#draining === "refusing" || this.#streams.size >= MAX_STREAMS)
      throw new StreamError(streamId, H2_ERROR.refusedStream, "no more streams");
    if (head.problem !== undefined) throw new StreamError(streamId, H2_ERROR.protocol, head.problem);
    const request = readCallRequest(head);
    if (typeof request === "number") return this.#refuse(streamId, request, ends);
    const reader = new MessageReader(this.#settings.maxMessageBytes, request.gzip);
    const stream = new ServerStream(streamId, this, this.#outbound.initialWindow, reader, request.announced);
    if (!stream.hold(STREAM_BYTES))
      throw new StreamError(streamId, H2_ERROR.refusedStream, "no memory for more streams");
    this.#streams.add(stream);
    this.#start(stream, request);
    if (ends) stream.closeRemote();
  }

  #start(stream: ServerStream, { path, timeoutMs }: CallRequest): void {
    const method = this.#settings.methods.get(path);
    if (method === undefined) return stream.end(GRPC_STATUS.unimplemented, `unknown method ${path}`);
    stream.handle(method(stream));
    if (timeoutMs !== undefined) stream.limit(timeoutMs);
  }

  #refuse(streamId: number, status: number, ends: boolean): void {
    this.#outbound.sendHead(streamId, httpAnswer(status), true);
    if (!ends) this.#sendReset(streamId, H2_ERROR.none);
  }

  #onReset(streamId: number, payload: Buffer): void {
    checkLength("RST_STREAM", payload, 4);
    const stream = this.#streams.existing(streamId, "RST_STREAM");
    this.#annoyed();
    if (stream === undefined || !this.#forget(streamId)) return;
    stream.cancel();
    this.#closeIfDrained();
  }

  #onWindowUpdate(streamId: number, payload: Buffer): void {
    checkLength("WINDOW_UPDATE", payload, 4);
    const increment = payload.readUInt32BE(0) & MAX_WINDOW;
    if (streamId === 0) return this.#outbound.widen(increment);
    const stream = this.#streams.existing(streamId, "WINDOW_UPDATE");
    if (stream !== undefined) this.#outbound.widenStream(stream, increment);
  }

  #onSettings(flags: number, streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw protocolError("SETTINGS on a stream");
    this.#annoyed();
    if ((flags & FLAG.ack) !== 0) return checkLength("SETTINGS with ACK", payload, 0);
    if (!this.#greeted) this.#socket.setTimeout(0);
    this.#greeted = true;
    this.#outbound.configure(payload, this.#streams.values());
    this.#writer.frame(FRAME.settings, FLAG.ack, 0, NONE);
  }

  #onPing(flags: number, streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw protocolError("PING on a stream");
    checkLength("PING", payload, PING_BYTES);
    this.#annoyed();
    if ((flags & FLAG.ack) === 0) return this.#writer.frame(FRAME.ping, FLAG.ack, 0, payload);
    if (this.#draining !== "announced" || !payload.equals(DRAIN_PING)) return;
    this.#draining = "refusing";
    this.#goAway(this.#streams.last, H2_ERROR.none, "");
    this.#closeIfDrained();
  }

  #onPriority(streamId: number, payload: Buffer): void {
    if (streamId === 0) throw protocolError("PRIORITY without a stream");
    if (payload.length !== 5) throw new StreamError(streamId, H2_ERROR.frameSize, "PRIORITY of a wrong length");
    this.#annoyed();
  }

  #annoyed(): void {
    if (!this.#nuisance.take())
      throw new ConnectionError(H2_ERROR.enhanceYourCalm, "too many frames without a request");
  }

  /** Runs what may violate the rules of one stream, and resets that stream then. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      this.#annoyed();
      const stream = this.#streams.get(error.streamId);
      this.#forget(error.streamId);
      this.#sendReset(error.streamId, error.code);
      stream?.cancel();
      this.#closeIfDrained();
    }
  }

  #sendReset(streamId: number, code: number): void {
    this.#writer.reset(streamId, code);
    this.#streams.remember(streamId);
  }

  /** Whether the stream was still known. */
  #forget(streamId: number): boolean {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return false;
    this.#outbound.drop(stream);
    stream.letGo();
    return this.#streams.delete(streamId);
  }

  #goAway(lastStreamId: number, code: number, message: string): void {
    this.#lastNamed = Math.min(this.#lastNamed, lastStreamId);
    this.#writer.goAway(this.#lastNamed, code, message);
  }

  #fail({ code, message }: ConnectionError): void {
    this.#goAway(this.#streams.last, code, message);
    this.#close();
  }

  #closeIfDrained(): void {
    if (this.#draining === "refusing" && this.#streams.size === 0) this.#close();
  }

  /** Closes once all is written; what the client still sends is passed over. */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writer.end();
    this.#socket.resume();
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
    this.#socket.once("close", () => clearTimeout(timer));
    this.#cancelAll();
  }

  #cancelAll(): void {
    this.#closed = true;
    for (const stream of this.#streams.clear()) {
      this.#outbound.drop(stream);
      stream.cancel();
      stream.letGo();
    }
  }
}

const protocolError = (message: string): ConnectionError => new ConnectionError(H2_ERROR.protocol, message);

function checkLength(frame: string, payload: Buffer, length: number): void {
  if (payload.length !== length)
    throw new ConnectionError(H2_ERROR.frameSize, `${frame} of ${payload.length} bytes instead of ${length}`);
}
