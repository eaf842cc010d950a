import type { FrameWriter } from "./frame-writer.ts";
import { ConnectionError, DEFAULT_WINDOW, FLAG, FRAME, H2_ERROR, MAX_WINDOW, StreamError } from "./frames.ts";
import { TABLE_UPDATE } from "./hpack.ts";
import { PeerSettings } from "./peer-settings.ts";
import type { ServerStream } from "./stream.ts";

const BEYOND = "window beyond its bound";

/** Sends header sections, and content within the windows that the client opens (RFC 9113 §5.2). */
export class Outbound {
  readonly #writer: FrameWriter;
  readonly #peer = new PeerSettings();
  /** Streams that wait for the connection's window, or for room in its socket. */
  readonly #blocked = new Set<ServerStream>();
  #window = DEFAULT_WINDOW;
  #tableTold = false;

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  /** Window of a new stream. */
  get initialWindow(): number {
    return this.#peer.initialWindow;
  }

  /** Sends a header section, which has to fit a frame. */
  sendHead(streamId: number, block: Buffer, end: boolean): void {
    const flags = FLAG.endHeaders | (end ? FLAG.endStream : 0);
    this.#writer.frame(FRAME.headers, flags, streamId, this.#tableUpdate(block));
  }

  /** Puts the confirmation of a smaller header table before the first section after it was asked for (RFC 7541 §4.2). */
  #tableUpdate(block: Buffer): Buffer {
    if (this.#tableTold || !this.#peer.tableShrunk) return block;
    this.#tableTold = true;
    return Buffer.concat([TABLE_UPDATE, block]);
  }

  /** Sends as much of `bytes` as the windows allow, and returns how much that was. */
  send(stream: ServerStream, bytes: Buffer): number {
    let sent = 0;
    while (sent < bytes.length) {
      const open = this.#isOpen;
      const allowed = open ? Math.min(this.#peer.frameBytes, stream.sendWindow, this.#window) : 0;
      if (allowed <= 0) {
        if (!open) this.#blocked.add(stream);
        break;
      }
      const part = bytes.subarray(sent, sent + allowed);
      this.#writer.frame(FRAME.data, 0, stream.id, part);
      sent += part.length;
      stream.sendWindow -= part.length;
      this.#window -= part.length;
    }
    return sent;
  }

  /** A stream is gone. */
  drop(stream: ServerStream): void {
    this.#blocked.delete(stream);
  }

  /** The connection's window grows; streams that waited for it go on. Throws `ConnectionError`. */
  widen(increment: number): void {
    if (increment === 0) throw new ConnectionError(H2_ERROR.protocol, "WINDOW_UPDATE by nothing");
    if (this.#window + increment > MAX_WINDOW) throw new ConnectionError(H2_ERROR.flowControl, BEYOND);
    this.#window += increment;
    this.resume();
  }

  /** Lets streams that waited go on, as far as there is a reason. */
  resume(): void {
    for (const stream of this.#blocked) {
      if (!this.#isOpen) break;
      this.#blocked.delete(stream);
      stream.pump();
    }
  }

  /** Whether the connection takes content. */
  get #isOpen(): boolean {
    return this.#window > 0 && this.#writer.hasRoom;
  }

  /** A stream's window grows. Throws `StreamError`. */
  widenStream(stream: ServerStream, increment: number): void {
    if (increment === 0) throw new StreamError(stream.id, H2_ERROR.protocol, "WINDOW_UPDATE by nothing");
    if (stream.sendWindow + increment > MAX_WINDOW) throw new StreamError(stream.id, H2_ERROR.flowControl, BEYOND);
    stream.sendWindow += increment;
    stream.pump();
  }

  /**
   * Takes the client's SETTINGS over. A changed initial window holds for open streams too, and may make theirs negative
   * (RFC 9113 §6.9.2). Throws `ConnectionError`.
   */
  configure(payload: Buffer, streams: Iterable<ServerStream>): void {
    const before = this.#peer.initialWindow;
    this.#peer.apply(payload);
    const difference = this.#peer.initialWindow - before;
    if (difference === 0) return;
    const open = [...streams];
    for (const stream of open) {
      stream.sendWindow += difference;
      if (stream.sendWindow > MAX_WINDOW) throw new ConnectionError(H2_ERROR.flowControl, BEYOND);
    }
    for (const stream of open) stream.pump();
  }
}
