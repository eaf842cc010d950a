import { ConnectionError, H2_ERROR, StreamError } from "./frames.ts";
import type { ServerStream } from "./stream.ts";

/** Streams that this side has reset, whose late frames are passed over. */
const MAX_RESETS_KNOWN = 4096;

/** The streams of a connection: those that are open, and what is known of those that are over (RFC 9113 §5.1). */
export class StreamTable {
  readonly #open = new Map<number, ServerStream>();
  readonly #resets = new Set<number>();
  #last = 0;

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Highest number that the client has used; 0: none. */
  get last(): number {
    return this.#last;
  }

  /** The open stream of that number. */
  get(id: number): ServerStream | undefined {
    return this.#open.get(id);
  }

  values(): IterableIterator<ServerStream> {
    return this.#open.values();
  }

  /** Whether the number is still to be used. */
  isNew(id: number): boolean {
    return id > this.#last;
  }

  /** Takes note of a number that the client begins to use. Throws `ConnectionError` for one that clients have not. */
  begin(id: number): void {
    if (id % 2 === 0) throw new ConnectionError(H2_ERROR.protocol, "a client's stream with an even number");
    this.#last = id;
  }

  add(stream: ServerStream): void {
    this.#open.set(stream.id, stream);
  }

  /** Whether the stream was open until now. */
  delete(id: number): boolean {
    return this.#open.delete(id);
  }

  /** Removes and returns all that are open. */
  clear(): ServerStream[] {
    const streams = [...this.#open.values()];
    this.#open.clear();
    return streams;
  }

  /** Takes note that this side has reset a stream. */
  remember(id: number): void {
    this.#resets.add(id);
    if (this.#resets.size <= MAX_RESETS_KNOWN) return;
    for (const oldest of this.#resets) {
      this.#resets.delete(oldest);
      break;
    }
  }

  /** Whether this side has reset the stream, as far as that is remembered. */
  wasReset(id: number): boolean {
    return this.#resets.has(id);
  }

  /**
   * The stream of a frame; undefined where it is over. Throws `ConnectionError` where it never began, `StreamError` for content
   * of one that ended without a reset of ours.
   */
  existing(id: number, frame: string): ServerStream | undefined {
    const stream = this.#open.get(id);
    if (stream !== undefined) return stream;
    if (id > this.#last || id % 2 === 0)
      throw new ConnectionError(H2_ERROR.protocol, `${frame} on a stream that is not open`);
    if (frame === "DATA" && !this.#resets.has(id))
      throw new StreamError(id, H2_ERROR.streamClosed, "content of a closed stream");
    return undefined;
  }
}
