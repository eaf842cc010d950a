import { connect, type Socket } from "node:net";
import { FrameWriter } from "../../scheduler/server/http2/frame-writer.ts";
import {
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  type FrameSink,
  FrameSplitter,
  H2_ERROR,
  MAX_WINDOW,
  PREFACE,
  SETTING,
} from "../../scheduler/server/http2/frames.ts";
import { encodeLiterals, HpackDecoder } from "../../scheduler/server/http2/hpack.ts";
import { MessageReader } from "../../scheduler/server/http2/message-reader.ts";
import { encodeSettings } from "../../scheduler/server/http2/peer-settings.ts";
import { PROCESS_PATH } from "./ext-proc.ts";

const HEAD = encodeLiterals([
  { name: ":method", value: "POST" },
  { name: ":scheme", value: "http" },
  { name: ":path", value: PROCESS_PATH },
  { name: "content-type", value: "application/grpc" },
  { name: "te", value: "trailers" },
]);
const NONE = Buffer.alloc(0);
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

interface OpenCall {
  readonly expected: number;
  readonly messages: Buffer[];
  readonly reader: MessageReader;
  readonly settle: (error?: Error) => void;
}

/**
 * A client of the external processor for benches that offer a load: one connection, requests as bytes that were made before,
 * a fraction of what a general gRPC client costs. Calls reject when the connection ends.
 */
export class StreamClient implements FrameSink {
  readonly #socket: Socket;
  readonly #writer: FrameWriter;
  readonly #calls = new Map<number, OpenCall>();
  readonly #hpack = new HpackDecoder();
  #nextId = 1;
  #sendWindow = DEFAULT_WINDOW;
  #received = 0;
  #ended: Error | undefined;

  /** `address`: `ip:port`, in plain text. */
  constructor(address: string) {
    const colon = address.lastIndexOf(":");
    this.#socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true });
    this.#writer = new FrameWriter(this.#socket);
    const splitter = new FrameSplitter(this);
    this.#socket.write(PREFACE);
    this.#writer.frame(FRAME.settings, 0, 0, encodeSettings([[SETTING.initialWindowSize, MAX_WINDOW]]));
    this.#writer.windowUpdate(0, MAX_WINDOW - DEFAULT_WINDOW);
    this.#socket.on("data", (chunk: Buffer) => splitter.push(chunk));
    this.#socket.on("error", (error) => this.#end(error)).on("close", () => this.#end(new Error("connection closed")));
  }

  /**
   * Sends framed messages on a stream of its own, ends it when `expected` answers have come, and resolves with those when the
   * server has ended the stream as well. Rejects for another end, or after `limitMs`.
   */
  exchange(content: Buffer, expected: number, limitMs: number): Promise<readonly Buffer[]> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      if (content.length > Math.min(this.#sendWindow, DEFAULT_FRAME_BYTES))
        return reject(new Error("window is used up"));
      const id = this.#nextId;
      this.#nextId += 2;
      const limit = setTimeout(() => this.#abandon(id, `no answer within ${limitMs} ms`), limitMs);
      const messages: Buffer[] = [];
      const settle = (error?: Error): void => {
        clearTimeout(limit);
        this.#calls.delete(id);
        if (error === undefined) resolve(messages);
        else reject(error);
      };
      this.#calls.set(id, { expected, messages, reader: new MessageReader(MAX_MESSAGE_BYTES, false), settle });
      this.#sendWindow -= content.length;
      this.#writer.frame(FRAME.headers, FLAG.endHeaders, id, HEAD);
      this.#writer.frame(FRAME.data, 0, id, content);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  onData(streamId: number, content: Buffer, flowBytes: number): void {
    this.#received += flowBytes;
    if (this.#received > MAX_WINDOW / 2) {
      this.#writer.windowUpdate(0, this.#received);
      this.#received = 0;
    }
    const call = this.#calls.get(streamId);
    if (call === undefined) return;
    const before = call.messages.length;
    call.reader.push(content, (message) => call.messages.push(message));
    if (before < call.expected && call.messages.length >= call.expected)
      this.#writer.frame(FRAME.data, FLAG.endStream, streamId, NONE);
  }

  onFrame(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (type === FRAME.headers) this.#onHead(flags, streamId, payload);
    else if (type === FRAME.rstStream) this.#fail(streamId, `stream reset with code ${payload.readUInt32BE(0)}`);
    else if (type === FRAME.windowUpdate && streamId === 0) this.#sendWindow += payload.readUInt32BE(0);
    else if (type === FRAME.goAway) this.#end(new Error(`GOAWAY with code ${payload.readUInt32BE(4)}`));
    else if (type === FRAME.settings && (flags & FLAG.ack) === 0) this.#writer.frame(FRAME.settings, FLAG.ack, 0, NONE);
    else if (type === FRAME.ping && (flags & FLAG.ack) === 0) this.#writer.frame(FRAME.ping, FLAG.ack, 0, payload);
  }

  #onHead(flags: number, streamId: number, payload: Buffer): void {
    const fields = new Map<string, string>();
    this.#hpack.decode(payload, (name, value) => fields.set(name, value));
    if ((flags & FLAG.endStream) === 0) return;
    const status = fields.get("grpc-status");
    const call = this.#calls.get(streamId);
    if (status === "0" && call !== undefined && call.messages.length >= call.expected) call.settle();
    else this.#fail(streamId, `ended with status ${status} after ${call?.messages.length} answers`);
  }

  #abandon(streamId: number, why: string): void {
    this.#writer.reset(streamId, H2_ERROR.cancel);
    this.#fail(streamId, why);
  }

  #fail(streamId: number, why: string): void {
    this.#calls.get(streamId)?.settle(new Error(why));
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const call of this.#calls.values()) call.settle(this.#ended);
  }
}
