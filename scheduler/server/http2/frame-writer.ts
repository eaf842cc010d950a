import type { Socket } from "node:net";
import { FRAME, HEADER_BYTES, writeFrameHeader } from "./frames.ts";

const SLAB_BYTES = 64 * 1024;
/** First slab: enough for a connection that says hello and no more. */
const FIRST_SLAB_BYTES = 512;
/** What may wait for the socket, in multiples of the amount from which on the socket tells when it is gone. */
const BACKLOG = 4;
/** Larger contents are handed to the socket as they are; smaller ones are copied, which costs less than one more buffer. */
const COPY_BYTES = 4096;

/** Collects frames and hands them to the socket together at the end of the current turn. */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #flush = (): void => this.flush();
  #slab = Buffer.allocUnsafeSlow(FIRST_SLAB_BYTES);
  /** Bytes collected since the last flush. */
  #collected = 0;
  readonly #onRoom: () => void;
  /** The slab's part that is written but not handed on. */
  #start = 0;
  #end = 0;
  #ready: Buffer[] = [];
  #scheduled = false;
  #ended = false;

  /** `onRoom` is called when what was collected is handed on and the socket takes more. */
  constructor(socket: Socket, onRoom: () => void = () => undefined) {
    this.#socket = socket;
    this.#onRoom = onRoom;
    socket.on("drain", onRoom);
  }

  /** Whether content should be added: not while much waits for a client that reads slowly. */
  get hasRoom(): boolean {
    return this.#collected + this.#socket.writableLength < BACKLOG * this.#socket.writableHighWaterMark;
  }

  /** Adds a frame; the payload may change afterwards if it is small. */
  frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    const copied = payload.length <= COPY_BYTES;
    this.#collected += payload.length;
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
    this.#collected = 0;
    this.#seal();
    const ready = this.#ready;
    if (ready.length === 0) return;
    this.#ready = [];
    if (this.#ended || this.#socket.destroyed) return;
    if (ready.length === 1) this.#socket.write(ready[0]!);
    else {
      this.#socket.cork();
      for (const bytes of ready) this.#socket.write(bytes);
      this.#socket.uncork();
    }
    if (!this.#socket.writableNeedDrain) this.#onRoom();
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
