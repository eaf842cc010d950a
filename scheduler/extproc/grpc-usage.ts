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

/** Where the counts of an answer are: in the message itself, and in messages that it embeds, by their field number. */
export interface CountPlaces {
  readonly own: CountFields | undefined;
  readonly embedded: ReadonlyMap<number, CountFields>;
}

/** GenerateResponse {1 chunk, 2 complete}. */
export const GENERATE_COUNTS: CountPlaces = {
  own: undefined,
  embedded: new Map([
    [1, { prompt: 2, completion: 3, cached: 4 }],
    [2, { prompt: 3, completion: 4, cached: 5 }],
  ]),
};
/** EmbedResponse {1 embedding, 2 prompt_tokens}. */
export const EMBED_COUNTS: CountPlaces = { own: { prompt: 2 }, embedded: new Map() };

/** Reads the token counts of vLLM's gRPC answers; later non-zero counts replace earlier ones. */
export class GrpcUsageReader implements UsageReader {
  readonly #places: CountPlaces;
  #held: Buffer = NO_BYTES;
  /** Bytes still to come of a message that is passed over. */
  #skipped = 0;
  #prompt: number | undefined;
  #completion: number | undefined;
  #cached: number | undefined;

  constructor(places: CountPlaces) {
    this.#places = places;
  }

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
      this.#counts(new WireReader(message), this.#places.own, this.#places.embedded);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
  }

  #counts(
    reader: WireReader,
    own: CountFields | undefined,
    embedded: ReadonlyMap<number, CountFields> | undefined,
  ): void {
    while (!reader.done) {
      const tag = reader.varint();
      const field = tag >>> 3;
      const inner = embedded?.get(field);
      if ((tag & 7) === WIRE.bytes && inner !== undefined) this.#counts(reader.message(), inner, undefined);
      else if ((tag & 7) !== WIRE.varint) reader.skip(tag & 7);
      else this.#take(field, reader.varint(), own);
    }
  }

  #take(field: number, value: number, own: CountFields | undefined): void {
    if (field === own?.prompt) this.#prompt = value || this.#prompt;
    else if (field === own?.completion) this.#completion = value || this.#completion;
    else if (field === own?.cached) this.#cached = value;
  }
}
