import { gunzipSync } from "node:zlib";
import { FRAME_HEADER_BYTES } from "../../extproc/wire.ts";
import { HeldBytes } from "../held-bytes.ts";
import { GRPC_STATUS } from "../transport.ts";

/** Why a call cannot be read any further. */
export interface MessageProblem {
  /** gRPC status. */
  readonly status: number;
  readonly message: string;
}

/** Cuts the content of a call into gRPC messages (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
export class MessageReader {
  readonly #maxBytes: number;
  readonly #gzip: boolean;
  readonly #held = new HeldBytes();
  /** Bytes to hold before the next look: a message's header or the whole message. */
  #needed = FRAME_HEADER_BYTES;

  constructor(maxBytes: number, gzip: boolean) {
    this.#maxBytes = maxBytes;
    this.#gzip = gzip;
  }

  /** Whether bytes are held that are no whole message. */
  get incomplete(): boolean {
    return this.#held.length > 0;
  }

  /** Memory that bytes of an incomplete message take. */
  get costBytes(): number {
    return this.#held.costBytes;
  }

  /** Lets go of what is held. */
  clear(): void {
    this.#held.clear();
  }

  /** Calls `deliver` for each message that `chunk` completes. Returns why the content cannot be read any further. */
  push(chunk: Buffer, deliver: (message: Buffer) => void): MessageProblem | undefined {
    if (chunk.length === 0) return undefined;
    const bytes = this.#whole(chunk);
    if (bytes === undefined) return undefined;
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
    if (at < bytes.length) this.#held.add(bytes.subarray(at));
    return undefined;
  }

  /** All bytes up to now, once they are enough for a look. */
  #whole(chunk: Buffer): Buffer | undefined {
    if (this.#held.length === 0 && chunk.length >= this.#needed) return chunk;
    this.#held.add(chunk);
    return this.#held.length < this.#needed ? undefined : this.#held.take();
  }

  #plain(flag: number, message: Buffer): Buffer | MessageProblem {
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

const tooLarge = (length: number, maxBytes: number): MessageProblem => ({
  status: GRPC_STATUS.resourceExhausted,
  message: `received message larger than max (${length} vs. ${maxBytes})`,
});
