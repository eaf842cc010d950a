import { ConnectionError, FLAG, H2_ERROR, unpadded } from "./frames.ts";

/** Compressed bytes of one header section, and frames that it may be cut into. */
const MAX_BLOCK_BYTES = 64 * 1024;
const MAX_FRAMES = 64;
const PRIORITY_BYTES = 5;

/** A header section that HEADERS has begun and that CONTINUATION frames may carry on. */
export class HeaderBlock {
  readonly streamId: number;
  readonly endsStream: boolean;
  complete: boolean;
  readonly #parts: Buffer[];
  #bytes: number;

  /** Reads a HEADERS frame. Throws `ConnectionError`. */
  constructor(streamId: number, flags: number, payload: Buffer) {
    const content = unpadded(payload, flags);
    const prioritized = (flags & FLAG.priority) !== 0;
    if (prioritized && content.length < PRIORITY_BYTES)
      throw new ConnectionError(H2_ERROR.frameSize, "HEADERS too short for its priority");
    const fragment = prioritized ? content.subarray(PRIORITY_BYTES) : content;
    this.streamId = streamId;
    this.endsStream = (flags & FLAG.endStream) !== 0;
    this.complete = (flags & FLAG.endHeaders) !== 0;
    this.#parts = [fragment];
    this.#bytes = fragment.length;
  }

  /** Takes a CONTINUATION frame. Throws `ConnectionError` where there is no end of them. */
  continue(flags: number, payload: Buffer): void {
    this.#parts.push(payload);
    this.#bytes += payload.length;
    if (this.#bytes > MAX_BLOCK_BYTES || this.#parts.length > MAX_FRAMES)
      throw new ConnectionError(H2_ERROR.enhanceYourCalm, "header block is too large");
    this.complete = (flags & FLAG.endHeaders) !== 0;
  }

  get bytes(): Buffer {
    return this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
  }
}
