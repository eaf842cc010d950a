const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const DATA = Buffer.from("data:");
const SPACE = 0x20;
const NONE = Buffer.alloc(0);
/** A line longer than this is no event that could have been meant, and is handed on as it comes. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/**
 * Changes the data of server-sent events on their way (WHATWG HTML §9.2). Only whole lines are looked at: the beginning of one
 * is held back until its end has come. What does not concern `interest` passes as the very bytes that came.
 */
export class EventStreamEditor {
  readonly #interest: (bytes: Buffer) => boolean;
  readonly #edit: (data: Buffer) => Buffer;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #passing = false;

  constructor(interest: (bytes: Buffer) => boolean, edit: (data: Buffer) => Buffer) {
    this.#interest = interest;
    this.#edit = edit;
  }

  /** Takes what came, and returns what can go on; empty where it is the beginning of a line. */
  push(chunk: Buffer): Buffer {
    const last = chunk.lastIndexOf(NEWLINE);
    if (this.#passing) return this.#passOn(chunk, chunk.indexOf(NEWLINE));
    if (last < 0) return this.#hold(chunk);
    const whole = this.#release(chunk.subarray(0, last + 1));
    const rest = this.#hold(chunk.subarray(last + 1));
    const edited = this.#interest(whole) ? this.#editLines(whole) : whole;
    return rest.length === 0 ? edited : Buffer.concat([edited, rest]);
  }

  /** What is held back at the end of the stream. */
  end(): Buffer {
    const rest = this.#release(NONE);
    return this.#interest(rest) ? this.#editLines(rest) : rest;
  }

  #passOn(chunk: Buffer, newline: number): Buffer {
    if (newline < 0) return chunk;
    this.#passing = false;
    return Buffer.concat([chunk.subarray(0, newline + 1), this.push(chunk.subarray(newline + 1))]);
  }

  #hold(part: Buffer): Buffer {
    if (part.length > 0) this.#held.push(part);
    this.#heldBytes += part.length;
    if (this.#heldBytes <= MAX_LINE_BYTES) return NONE;
    this.#passing = true;
    return this.#release(NONE);
  }

  #release(part: Buffer): Buffer {
    if (this.#heldBytes === 0) return part;
    const whole = Buffer.concat([...this.#held, part]);
    this.#held = [];
    this.#heldBytes = 0;
    return whole;
  }

  #editLines(bytes: Buffer): Buffer {
    const parts: Buffer[] = [];
    for (let start = 0; start < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, start);
      const next = newline < 0 ? bytes.length : newline + 1;
      parts.push(...this.#editLine(bytes.subarray(start, next)));
      start = next;
    }
    return Buffer.concat(parts);
  }

  #editLine(line: Buffer): readonly Buffer[] {
    if (!line.subarray(0, DATA.length).equals(DATA) || !this.#interest(line)) return [line];
    const start = line[DATA.length] === SPACE ? DATA.length + 1 : DATA.length;
    let end = line.length;
    while (end > start && (line[end - 1] === NEWLINE || line[end - 1] === CARRIAGE_RETURN)) end--;
    return [line.subarray(0, start), this.#edit(line.subarray(start, end)), line.subarray(end)];
  }
}

/** Data of the events in a piece of a stream that ends with a whole line; undefined where it has none yet. */
export function firstData(bytes: Buffer): Buffer | undefined {
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    if (newline < 0) return undefined;
    const line = bytes.subarray(start, newline);
    if (line.subarray(0, DATA.length).equals(DATA)) return line.subarray(DATA.length);
    start = newline + 1;
  }
  return undefined;
}
