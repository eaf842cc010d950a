const NEWLINE = 0x0a;

/** Strict, so that damaged bytes surface as an error instead of as replacement characters in an object. */
const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** The part of a line that has arrived so far; every byte is looked at once, however finely a line is cut up. */
class PartialLine {
  #parts: Uint8Array[] = [];
  #bytes = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get empty(): boolean {
    return this.#bytes === 0;
  }

  push(part: Uint8Array): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) throw new Error(`a line exceeds ${this.#maxBytes} bytes`);
    if (part.length > 0) this.#parts.push(part);
  }

  take(): string {
    const [only] = this.#parts;
    const bytes = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    return UTF8.decode(bytes);
  }
}

/**
 * Splits a byte stream into its lines, without their newlines; blank lines are left out.
 * Errors: what the stream throws; `Error` for a line above `maxBytes`, for bytes that are not UTF-8, and for a stream
 * that ends within a line.
 */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  const line = new PartialLine(maxBytes);
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      line.push(chunk.subarray(start, end));
      start = end + 1;
      if (!line.empty) yield line.take();
    }
    line.push(chunk.subarray(start));
  }
  if (!line.empty) throw new Error("the stream ended within a line");
}
