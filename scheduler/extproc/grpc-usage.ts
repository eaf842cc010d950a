import type { Usage } from "../request/types.ts";
import type { UsageReader } from "./usage.ts";
import { FRAME_HEADER_BYTES, WIRE, WireError, WireReader } from "./wire.ts";

/** A longer message is passed over: an embedding, whose counts come after the vector, is far smaller. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
const NO_BYTES = Buffer.alloc(0);

/** Field numbers of token counts in a message. */
interface CountFields {
  readonly prompt: number;
  readonly completion?: number;
  readonly cached?: number;
}

/** GenerateResponse {1 chunk, 2 complete}; in EmbedResponse field 1 is a vector and field 2 a count. */
const CHUNK: CountFields = { prompt: 2, completion: 3, cached: 4 };
const COMPLETE: CountFields = { prompt: 3, completion: 4, cached: 5 };

/** Reads the token counts of vLLM's gRPC answers; later non-zero counts replace earlier ones. */
export class GrpcUsageReader implements UsageReader {
  #held: Buffer = NO_BYTES;
  /** Bytes still to come of a message that is passed over. */
  #skipped = 0;
  #prompt: number | undefined;
  #completion: number | undefined;
  #cached: number | undefined;

  push(chunk: Buffer): void {
    let bytes = chunk.subarray(Math.min(chunk.length, this.#skipped));
    this.#skipped -= chunk.length - bytes.length;
    if (this.#held.length > 0) bytes = Buffer.concat([this.#held, bytes]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + bytes.readUInt32BE(at + 1);
      if (end > bytes.length && end - at > MAX_MESSAGE_BYTES) {
        this.#skipped = end - bytes.length;
        at = bytes.length;
      } else if (end > bytes.length) break;
      else {
        if (bytes[at] === 0) this.#read(bytes.subarray(at + FRAME_HEADER_BYTES, end));
        at = end;
      }
    }
    this.#held = at === bytes.length ? NO_BYTES : Buffer.from(bytes.subarray(at));
  }

  get usage(): Usage | undefined {
    if (this.#prompt === undefined && this.#completion === undefined) return undefined;
    return {
      promptTokens: this.#prompt,
      completionTokens: this.#completion,
      totalTokens: (this.#prompt ?? 0) + (this.#completion ?? 0),
      cachedTokens: this.#cached,
    };
  }

  #read(message: Buffer): void {
    try {
      const reader = new WireReader(message);
      while (!reader.done) {
        const tag = reader.varint();
        if (tag === 0x0a) this.#counts(reader.message(), CHUNK);
        else if (tag === 0x12) this.#counts(reader.message(), COMPLETE);
        else if (tag === 0x10) this.#prompt = reader.varint() || this.#prompt;
        else reader.skip(tag & 7);
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
  }

  #counts(reader: WireReader, fields: CountFields): void {
    while (!reader.done) {
      const tag = reader.varint();
      const field = tag >>> 3;
      if ((tag & 7) !== WIRE.varint) reader.skip(tag & 7);
      else if (field === fields.prompt) this.#prompt = reader.varint() || this.#prompt;
      else if (field === fields.completion) this.#completion = reader.varint() || this.#completion;
      else if (field === fields.cached) this.#cached = reader.varint();
      else reader.varint();
    }
  }
}
