import { type Call, type CallHandler, GRPC_STATUS } from "../transport.ts";
import { H2_ERROR, StreamError } from "./frames.ts";
import { encodeLiterals } from "./hpack.ts";
import type { MessageReader } from "./message-reader.ts";

/** Bytes that a client may send ahead on one stream: a whole long prompt without waiting for updates. */
export const STREAM_WINDOW_BYTES = 1024 * 1024;

/** Memory of a stream that holds no content: its own state and that of its handler. */
export const STREAM_BYTES = 4096;

/** Longest delay that a timer takes; no call lasts that long. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const OK_STATUS = { name: ":status", value: "200" };
const GRPC_TYPE = { name: "content-type", value: "application/grpc" };
const RESPONSE_HEAD = encodeLiterals([OK_STATUS, GRPC_TYPE]);
const OK_TRAILERS = encodeLiterals([{ name: "grpc-status", value: String(GRPC_STATUS.ok) }]);

/** What a stream needs of its connection. */
export interface StreamHost {
  sendHead(stream: ServerStream, block: Buffer, end: boolean): void;
  /** Sends as much of `bytes` as the windows allow, and returns how much that was. */
  sendContent(stream: ServerStream, bytes: Buffer): number;
  /** Counts memory of the connection's as held, or, where negative, as free; false where there is not as much. */
  hold(bytes: number): boolean;
  /** Lets the client send more. */
  grant(stream: ServerStream, bytes: number): void;
  /** The client has sent all: `halfClose` is to be called once all that has arrived is handled, if the call still goes on. */
  ended(stream: ServerStream): void;
  /** Both sides are done, or this side has said all it had to say. */
  finished(stream: ServerStream): void;
}

/** One call on a connection. */
export class ServerStream implements Call {
  readonly id: number;
  /** Bytes that the client allows to be sent. */
  sendWindow: number;
  /** Whether the client has sent all. */
  remoteClosed = false;
  readonly #host: StreamHost;
  readonly #reader: MessageReader;
  #handler: CallHandler | undefined;
  /** Content bytes that the request's headers promise; −1: none. */
  #announced: number;
  #receiveWindow = STREAM_WINDOW_BYTES;
  /** Bytes received that the client may send again once what waits to be sent to it is gone. */
  #ungranted = 0;
  #queue: Buffer[] = [];
  /** Bytes in the queue. */
  #queued = 0;
  /** Memory counted for the stream in all, for its incomplete message, and for its queue. */
  #held = 0;
  #heldReading = 0;
  #heldQueued = 0;
  /** The client or the connection is gone. */
  #gone = false;
  #trailers: Buffer | undefined;
  #headSent = false;
  /** The handler has ended the call, or was told that it is over. */
  #over = false;
  #limit: NodeJS.Timeout | undefined;

  constructor(id: number, host: StreamHost, sendWindow: number, reader: MessageReader, announced: number) {
    this.id = id;
    this.#host = host;
    this.sendWindow = sendWindow;
    this.#reader = reader;
    this.#announced = announced;
  }

  /** Names who handles the call; before anything is received. */
  handle(handler: CallHandler): void {
    this.#handler = handler;
  }

  /** Ends the call with DEADLINE_EXCEEDED unless it is over in time. */
  limit(timeoutMs: number): void {
    if (this.#over) return;
    const expire = (): void => this.#fail(GRPC_STATUS.deadlineExceeded, "deadline exceeded");
    this.#limit = setTimeout(expire, Math.min(timeoutMs, MAX_TIMEOUT_MS)).unref();
  }

  /** The next part of the request's content. Throws `StreamError`. */
  receive(content: Buffer, flowBytes: number, end: boolean): void {
    if (this.remoteClosed) throw new StreamError(this.id, H2_ERROR.streamClosed, "content after its end");
    this.#receiveWindow -= flowBytes;
    if (this.#receiveWindow < 0) throw new StreamError(this.id, H2_ERROR.flowControl, "more content than allowed");
    this.#checkLength(content.length, end);
    if (!this.#over) this.#read(content);
    if (end) return this.closeRemote();
    this.#ungranted += flowBytes;
    this.#grant();
  }

  /** The request is complete. Throws `StreamError` where its length is not the announced one. */
  closeRemote(): void {
    this.#checkLength(0, true);
    this.remoteClosed = true;
    this.#host.ended(this);
  }

  /** Tells the handler that the request is complete, unless the call is over. */
  halfClose(): void {
    if (this.#reader.incomplete) this.#fail(GRPC_STATUS.internal, "request ends within a message");
    if (!this.#over) this.#handler?.onHalfClose();
    if (this.#isSent) this.#host.finished(this);
  }

  /** The client or the connection is gone. */
  cancel(): void {
    this.#queue = [];
    this.#queued = 0;
    if (this.#over) return;
    this.#close();
    this.#handler?.onCancel();
  }

  hold(bytes: number): boolean {
    if (this.#gone) return true;
    if (!this.#host.hold(bytes)) return false;
    this.#held += bytes;
    return true;
  }

  /** Frees all that was counted: the stream is gone. */
  letGo(): void {
    this.#reader.clear();
    if (this.#held > 0) this.#host.hold(-this.#held);
    this.#held = 0;
    this.#gone = true;
  }

  send(frames: Buffer): void {
    if (this.#over || frames.length === 0) return;
    if (!this.#headSent) this.#host.sendHead(this, RESPONSE_HEAD, false);
    this.#headSent = true;
    this.#queue.push(frames);
    this.#queued += frames.length;
    this.pump();
  }

  end(status: number, message?: string): void {
    if (this.#over) return;
    this.#close();
    const trailers = status === GRPC_STATUS.ok && message === undefined ? OK_TRAILERS : statusTrailers(status, message);
    this.#trailers = this.#headSent ? trailers : Buffer.concat([RESPONSE_HEAD, trailers]);
    this.pump();
  }

  /** Sends what waits, as far as the windows allow. */
  pump(): void {
    this.#sendQueued();
    if (this.#queued !== this.#heldQueued) this.#countQueued();
    if (this.#queue.length > 0) return;
    this.#grant();
    if (this.#trailers === undefined) return;
    this.#host.sendHead(this, this.#trailers, true);
    this.#trailers = undefined;
    this.#host.finished(this);
  }

  #sendQueued(): void {
    while (this.#queue.length > 0) {
      const head = this.#queue[0]!;
      const sent = this.#host.sendContent(this, head);
      this.#queued -= sent;
      if (sent < head.length) {
        this.#queue[0] = head.subarray(sent);
        return;
      }
      this.#queue.shift();
    }
  }

  #countQueued(): void {
    if (this.hold(this.#queued - this.#heldQueued)) {
      this.#heldQueued = this.#queued;
      return;
    }
    this.#queue = [];
    this.#queued = 0;
    this.hold(-this.#heldQueued);
    this.#heldQueued = 0;
    this.#fail(GRPC_STATUS.resourceExhausted, "too much waits to be read by clients");
  }

  /** Whether all of the answer has been sent. */
  get #isSent(): boolean {
    return this.#over && this.#queue.length === 0 && this.#trailers === undefined;
  }

  #close(): void {
    this.#over = true;
    this.#reader.clear();
    this.#countReading();
    if (this.#limit !== undefined) clearTimeout(this.#limit);
  }

  #read(content: Buffer): void {
    const problem = this.#reader.push(content, (message) => {
      // What the message took is the handler's now.
      this.#countReading();
      if (!this.#over) this.#handler?.onMessage(message);
    });
    if (problem !== undefined && !this.#over) return this.#fail(problem.status, problem.message);
    if (!this.#countReading()) this.#fail(GRPC_STATUS.resourceExhausted, "too many incomplete messages");
  }

  /** Counts what is held of an incomplete message; false where that is too much. */
  #countReading(): boolean {
    const { costBytes } = this.#reader;
    if (costBytes === this.#heldReading) return true;
    if (!this.hold(costBytes - this.#heldReading)) return false;
    this.#heldReading = costBytes;
    return true;
  }

  #fail(status: number, message: string): void {
    if (this.#over) return;
    this.end(status, message);
    this.#handler?.onCancel();
  }

  #checkLength(bytes: number, end: boolean): void {
    if (this.#announced < 0) return;
    this.#announced -= bytes;
    if (this.#announced < 0 || (end && this.#announced > 0))
      throw new StreamError(this.id, H2_ERROR.protocol, "content of another length than announced");
  }

  /** A client that does not read what it is sent may not send more either, so that what waits for it stays bounded. */
  #grant(): void {
    if (this.#ungranted < STREAM_WINDOW_BYTES / 2 || this.remoteClosed || this.#isSent || this.#queue.length > 0)
      return;
    this.#host.grant(this, this.#ungranted);
    this.#receiveWindow += this.#ungranted;
    this.#ungranted = 0;
  }
}

function statusTrailers(status: number, message: string | undefined): Buffer {
  const fields = [{ name: "grpc-status", value: String(status) }];
  if (message !== undefined) fields.push({ name: "grpc-message", value: percentEncode(message) });
  return encodeLiterals(fields);
}

/** Of a message; a header section has to fit a frame. */
const MAX_MESSAGE_CHARACTERS = 1000;

/** Percent-encoding of `grpc-message`: all but printable ASCII, and the percent sign. */
function percentEncode(text: string): string {
  return text
    .slice(0, MAX_MESSAGE_CHARACTERS)
    .replace(/[^ -$&-~]/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
    );
}

/** An answer without a call: an HTTP status, for requests that are no gRPC. */
export function httpAnswer(status: number): Buffer {
  return encodeLiterals([{ name: ":status", value: String(status) }]);
}
