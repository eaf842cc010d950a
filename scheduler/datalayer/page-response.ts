import { ScrapeError } from "./scrape-error.ts";

const MAX_HEAD_BYTES = 32 * 1024;
const FIRST_PAGE_BYTES = 16 * 1024;
/** Size and extensions of one chunk. */
const MAX_LINE_BYTES = 4096;
const END_OF_HEAD = Buffer.from("\r\n\r\n");
const NEWLINE = 10;
const NONE = Buffer.alloc(0);

/** Where the body ends. */
type Framing = "head" | "length" | "chunks" | "close" | "done";

const broken = (message: string): ScrapeError =>
  new ScrapeError("unreachable", "no HTTP answer", { cause: new Error(message) });

/**
 * Reads one HTTP/1.1 answer after the other (RFC 9112), keeping its buffer in between. Only what a metrics page needs: the
 * head is searched for five fields.
 */
export class PageResponse {
  readonly #maxBytes: number;
  #framing: Framing = "head";
  /** Bytes of a head or of a chunk's frame that are not complete. */
  #rest: Buffer = NONE;
  #page: Buffer = NONE;
  #filled = 0;
  /** Bytes of the body or of the chunk that are still to come. */
  #left = 0;
  #chunkEnds = false;
  #gzip = false;
  #reusable = true;

  /** `maxBytes` bounds a body. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Prepares for the next answer. The page of the last one is overwritten. */
  reset(): void {
    this.#framing = "head";
    this.#rest = NONE;
    this.#filled = 0;
    this.#left = 0;
    this.#chunkEnds = false;
  }

  /** Whether nothing of the answer has been seen. */
  get untouched(): boolean {
    return this.#framing === "head" && this.#rest.length === 0;
  }

  /** Whether the connection may serve another request. */
  get reusable(): boolean {
    return this.#reusable;
  }

  get gzip(): boolean {
    return this.#gzip;
  }

  /** The body, valid until `reset`. */
  get page(): Buffer {
    return this.#page.subarray(0, this.#filled);
  }

  /**
   * Takes bytes, which are only used during the call. Returns whether the answer is complete. Throws `ScrapeError` for a status
   * other than 200, a page that is too large, and what is no HTTP.
   */
  push(bytes: Buffer): boolean {
    let at = 0;
    while (at < bytes.length && this.#framing !== "done") at = this.#take(bytes, at);
    if (at < bytes.length) this.#reusable = false;
    return this.#framing === "done";
  }

  /** The connection was closed. Throws `ScrapeError` where that is no end of the answer. */
  end(): void {
    if (this.#framing !== "close" && this.#framing !== "done") throw broken("connection closed within the answer");
    this.#framing = "done";
  }

  /** Takes some of the bytes from `at` on and returns where it stopped. */
  #take(bytes: Buffer, at: number): number {
    if (this.#framing === "head") return this.#takeHead(bytes, at);
    if (this.#framing === "chunks" && this.#left === 0) return this.#takeChunkHead(bytes, at);
    const end = this.#framing === "close" ? bytes.length : Math.min(bytes.length, at + this.#left);
    this.#append(bytes, at, end);
    if (this.#framing === "close") return end;
    this.#left -= end - at;
    if (this.#left === 0 && this.#framing === "length") this.#framing = "done";
    return end;
  }

  #takeHead(bytes: Buffer, at: number): number {
    const held = this.#rest.length;
    const all = held === 0 ? bytes.subarray(at) : Buffer.concat([this.#rest, bytes.subarray(at)]);
    const end = all.indexOf(END_OF_HEAD);
    if (end < 0) {
      if (all.length > MAX_HEAD_BYTES) throw broken("headers without end");
      this.#rest = Buffer.from(all);
      return bytes.length;
    }
    this.#rest = NONE;
    this.#readHead(all.toString("latin1", 0, end + 2));
    return at + end + END_OF_HEAD.length - held;
  }

  #readHead(head: string): void {
    const status = Number(/^HTTP\/1\.[01] (\d{3})[ \r]/.exec(head)?.[1]);
    if (Number.isNaN(status)) throw broken("this is no HTTP/1.1");
    if (status >= 100 && status < 200) return;
    if (status !== 200) throw new ScrapeError("status", `status ${status}`, { retryAfterMs: retryAfterMs(head) });
    const chunked = /\r\ntransfer-encoding:[^\r\n]*\bchunked[ \t]*\r/i.test(head);
    const length = /\r\ncontent-length:[ \t]*(\d+)[ \t]*\r/i.exec(head)?.[1];
    this.#gzip = /\r\ncontent-encoding:[ \t]*gzip\b/i.test(head);
    this.#framing = chunked ? "chunks" : length === undefined ? "close" : "length";
    this.#reusable = this.#framing !== "close" && !/^HTTP\/1\.0|\r\nconnection:[ \t]*close\b/i.test(head);
    if (this.#framing !== "length") return;
    this.#left = Number(length);
    this.#reserve(this.#left);
    if (this.#left === 0) this.#framing = "done";
  }

  /** The line that tells a chunk's length, behind the line break that ends the chunk before. */
  #takeChunkHead(bytes: Buffer, at: number): number {
    const newline = bytes.indexOf(NEWLINE, at);
    const part = bytes.subarray(at, newline < 0 ? bytes.length : newline);
    const line = this.#rest.length === 0 ? part : Buffer.concat([this.#rest, part]);
    if (line.length > MAX_LINE_BYTES) throw broken("chunk without length");
    if (newline < 0) {
      this.#rest = Buffer.from(line);
      return bytes.length;
    }
    this.#rest = NONE;
    this.#readChunkLine(line.toString("latin1").trim());
    return newline + 1;
  }

  #readChunkLine(line: string): void {
    if (this.#chunkEnds) {
      // Behind the last chunk: fields that nobody needs, then an empty line.
      if (line === "") this.#framing = "done";
      return;
    }
    if (line === "" && this.#filled > 0) return;
    const size = /^([0-9a-fA-F]{1,8})(?:[ \t]*;.*)?$/.exec(line)?.[1];
    if (size === undefined) throw broken("chunk without length");
    this.#left = Number.parseInt(size, 16);
    this.#chunkEnds = this.#left === 0;
    this.#reserve(this.#filled + this.#left);
  }

  #append(bytes: Buffer, from: number, to: number): void {
    this.#reserve(this.#filled + to - from);
    this.#filled += bytes.copy(this.#page, this.#filled, from, to);
  }

  #reserve(size: number): void {
    if (size > this.#maxBytes) throw new ScrapeError("too-large", `page exceeds ${this.#maxBytes} bytes`);
    if (size <= this.#page.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_PAGE_BYTES, Math.ceil(size * 1.25)));
    this.#page.copy(larger, 0, 0, this.#filled);
    this.#page = larger;
  }
}

function retryAfterMs(head: string): number {
  const seconds = Number(/\r\nretry-after:[ \t]*(\d+)[ \t]*\r/i.exec(head)?.[1]);
  return seconds > 0 ? seconds * 1000 : 0;
}
