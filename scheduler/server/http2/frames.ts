/** HTTP/2 frames: layout and splitting of a byte stream into them (RFC 9113 §4 and §6). */

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 0x01, ack: 0x01, endHeaders: 0x04, padded: 0x08, priority: 0x20 } as const;

/** Error codes (RFC 9113 §7). */
export const H2_ERROR = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** What a client sends first (RFC 9113 §3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
export const HEADER_BYTES = 9;
/** Largest payload without another setting, both ways. */
export const DEFAULT_FRAME_BYTES = 16_384;
export const DEFAULT_WINDOW = 65_535;
export const MAX_WINDOW = 2 ** 31 - 1;

/** A violation that ends the connection; `code` is one of `H2_ERROR`. */
export class ConnectionError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = "ConnectionError";
    this.code = code;
  }
}

/** A violation that ends one stream. */
export class StreamError extends Error {
  readonly streamId: number;
  readonly code: number;

  constructor(streamId: number, code: number, message: string) {
    super(message);
    this.name = "StreamError";
    this.streamId = streamId;
    this.code = code;
  }
}

/** Writes a frame's header at `at`. */
export function writeFrameHeader(
  into: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  into.writeUInt32BE(streamId, at + 5);
}

/** Receives the frames of a connection. What it throws ends the splitting. */
export interface FrameSink {
  /** A whole frame of another type than DATA. */
  onFrame(type: number, flags: number, streamId: number, payload: Buffer): void;
  /**
   * The next part of a stream's content. `flowBytes` counts against the windows; `end` marks the last part of a frame that ends
   * its stream.
   */
  onData(streamId: number, content: Buffer, flowBytes: number, end: boolean): void;
}

const NONE = Buffer.alloc(0);

/** Cuts a byte stream into frames. DATA is handed on as it arrives, all else when it is whole. */
export class FrameSplitter {
  readonly #sink: FrameSink;
  readonly #maxBytes: number;
  #held: Buffer = NONE;
  /** Bytes of the current DATA frame that are still to come, its stream, and whether it ends it. */
  #dataLeft = 0;
  #dataStream = 0;
  #dataEnds = false;

  /** `maxBytes` bounds the payload of a frame. */
  constructor(sink: FrameSink, maxBytes = DEFAULT_FRAME_BYTES) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
  }

  /** Takes the next bytes. Throws `ConnectionError` for a frame that is too large or damaged. */
  push(chunk: Buffer): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NONE;
    let at = 0;
    while (at < bytes.length) {
      const next = this.#dataLeft > 0 ? this.#content(bytes, at) : this.#frame(bytes, at);
      if (next === at) break;
      at = next;
    }
    if (at < bytes.length) this.#held = bytes.subarray(at);
  }

  #content(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#dataLeft);
    this.#dataLeft -= end - at;
    this.#sink.onData(this.#dataStream, bytes.subarray(at, end), end - at, this.#dataEnds && this.#dataLeft === 0);
    return end;
  }

  /** Reads the frame at `at` and returns where it ends; `at` where bytes are missing. */
  #frame(bytes: Buffer, at: number): number {
    const start = at + HEADER_BYTES;
    if (bytes.length < start) return at;
    const length = bytes.readUIntBE(at, 3);
    if (length > this.#maxBytes)
      throw new ConnectionError(H2_ERROR.frameSize, `frame of ${length} bytes, at most ${this.#maxBytes} are allowed`);
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    const streamId = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
    if (type === FRAME.data && length > 0 && (flags & FLAG.padded) === 0) {
      this.#dataLeft = length;
      this.#dataStream = streamId;
      this.#dataEnds = (flags & FLAG.endStream) !== 0;
      return start;
    }
    if (bytes.length < start + length) return at;
    const payload = bytes.subarray(start, start + length);
    if (type === FRAME.data)
      this.#sink.onData(streamId, unpadded(payload, flags), length, (flags & FLAG.endStream) !== 0);
    else this.#sink.onFrame(type, flags, streamId, payload);
    return start + length;
  }
}

/** The payload of a DATA or HEADERS frame without its padding. Throws `ConnectionError` where that is longer than the frame. */
export function unpadded(payload: Buffer, flags: number): Buffer {
  if ((flags & FLAG.padded) === 0) return payload;
  const padding = payload[0];
  if (padding === undefined)
    throw new ConnectionError(H2_ERROR.frameSize, "padded frame without a length of its padding");
  if (padding >= payload.length) throw new ConnectionError(H2_ERROR.protocol, "padding longer than its frame");
  return payload.subarray(1, payload.length - padding);
}
