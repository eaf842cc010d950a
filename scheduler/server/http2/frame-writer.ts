import type { Socket } from "node:net";
import { FRAME, HEADER_BYTES, writeFrameHeader } from "./frames.ts";

const SLAB_BYTES = 64 * 1024;
/** Larger contents are handed to the socket as they are; smaller ones are copied, which costs less than one more buffer. */
const COPY_BYTES = 4096;

/** Collects frames and hands them to the socket together at the end of the current turn. */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #flush = (): void => this.flush();
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** The slab's part that is written but not handed on. */
  #start = 0;
  #end = 0;
  #ready: Buffer[] = [];
  #scheduled = false;
  #ended = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Adds a frame; the payload may change afterwards if it is small. */
  frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    const copied = payload.length <= COPY_BYTES;
    this.#reserve(HEADER_BYTES + (copied ? payload.length : 0));
    writeFrameHeader(this.#slab, this.#end, payload.length, type, flags, streamId);
    this.#end += HEADER_BYTES;
    if (copied) this.#end += payload.copy(this.#slab, this.#end);
    else {
      this.#seal();
      this.#ready.push(payload);
    }
    this.#schedule();
  }

  /** Adds a WINDOW_UPDATE. */
  windowUpdate(streamId: number, increment: number): void {
    this.#reserve(HEADER_BYTES + 4);
    writeFrameHeader(this.#slab, this.#end, 4, FRAME.windowUpdate, 0, streamId);
    this.#slab.writeUInt32BE(increment, this.#end + HEADER_BYTES);
    this.#end += HEADER_BYTES + 4;
    this.#schedule();
  }

  /** Adds a RST_STREAM. */
  reset(streamId: number, code: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    this.frame(FRAME.rstStream, 0, streamId, payload);
  }

  /** Adds a GOAWAY; `message` is for people. */
  goAway(lastStreamId: number, code: number, message: string): void {
    const payload = Buffer.alloc(8 + Buffer.byteLength(message));
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    payload.write(message, 8);
    this.frame(FRAME.goAway, 0, 0, payload);
  }

  /** Hands on what was collected, and ends this side of the connection; frames added after that go nowhere. */
  end(): void {
    this.flush();
    this.#ended = true;
    this.#socket.end();
  }

  /** Hands on what was collected. */
  flush(): void {
    this.#scheduled = false;
    this.#seal();
    const ready = this.#ready;
    if (ready.length === 0) return;
    this.#ready = [];
    if (this.#ended || this.#socket.destroyed) return;
    if (ready.length === 1) return void this.#socket.write(ready[0]!);
    this.#socket.cork();
    for (const bytes of ready) this.#socket.write(bytes);
    this.#socket.uncork();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#flush);
  }

  #seal(): void {
    if (this.#end > this.#start) this.#ready.push(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  /** Makes room in the slab. What was handed on stays untouched: the socket may still be reading it. */
  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#slab.length) return;
    this.#seal();
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#start = 0;
    this.#end = 0;
  }
}
