const NO_BYTES = Buffer.alloc(0);

/**
 * Gives an answer the model name that its client asked for: replaces `"model":"<target>"`, with or without a space after the
 * colon. A name that two chunks share is found too: bytes that may begin one are held back until the next chunk.
 */
export class ModelNameRestorer {
  readonly #needles: readonly (readonly [Buffer, Buffer])[];
  #held: Buffer = NO_BYTES;

  constructor(target: string, incoming: string) {
    const [from, to] = [JSON.stringify(target), JSON.stringify(incoming)];
    this.#needles = [":", ": "].map((colon) => [
      Buffer.from(`"model"${colon}${from}`),
      Buffer.from(`"model"${colon}${to}`),
    ]);
  }

  /** The bytes to send for `chunk`; at the end nothing is held back. */
  push(chunk: Buffer, endOfStream: boolean): Buffer {
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (const [needle, replacement] of this.#needles) bytes = replaceAll(bytes, needle, replacement);
    const keep = endOfStream ? 0 : Math.max(...this.#needles.map(([needle]) => overlap(bytes, needle)));
    this.#held = bytes.subarray(bytes.length - keep);
    return keep === 0 ? bytes : bytes.subarray(0, bytes.length - keep);
  }
}

function replaceAll(bytes: Buffer, needle: Buffer, replacement: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, from)) {
    parts.push(bytes.subarray(from, at), replacement);
    from = at + needle.length;
  }
  return from === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(from)]);
}

/** Length of the longest end of `bytes` that is a proper start of `needle`. */
function overlap(bytes: Buffer, needle: Buffer): number {
  for (let length = Math.min(bytes.length, needle.length - 1); length > 0; length--)
    if (bytes.subarray(bytes.length - length).equals(needle.subarray(0, length))) return length;
  return 0;
}
