const NEWLINE = 0x0a;
/** One line of a watch holds one object; etcd's limit for those is 1.5 MB by default. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

/**
 * Splits a byte stream at newlines; empty lines are left out. A last line without its newline was cut and is an error, so
 * that a damaged object is never taken for a whole one. Work is linear in the bytes.
 */
export async function* splitLines(stream: AsyncIterable<unknown>): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let held = 0;
  for await (const chunk of stream) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError("a stream of bytes is needed");
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end));
      const line = Buffer.concat(parts).toString("utf8");
      [parts, held, start] = [[], 0, end + 1];
      if (line.trim() !== "") yield line;
    }
    parts.push(chunk.subarray(start));
    held += chunk.length - start;
    if (held > MAX_LINE_BYTES) throw new Error(`a line is longer than ${MAX_LINE_BYTES} bytes`);
  }
  if (held > 0) throw new Error("the stream ended inside a line");
}
