/** Protocol Buffers wire format (protobuf.dev/programming-guides/encoding) and gRPC message framing. */

/** Bytes that are no valid message. */
export class WireError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "WireError";
  }
}

/** Wire types; groups (3 and 4) do not occur in proto3. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Bytes before each gRPC message: a compression flag and its length in 32 bits, big endian. */
export const FRAME_HEADER_BYTES = 5;

/** Reads fields from a range of a buffer. Methods throw `WireError` where the range ends too early. */
export class WireReader {
  readonly bytes: Buffer;
  position: number;
  readonly end: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  get done(): boolean {
    return this.position >= this.end;
  }

  /** An unsigned varint; exact up to 2^53. */
  varint(): number {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 10; count++) {
      if (this.position >= this.end) throw new WireError("truncated varint");
      const byte = this.bytes[this.position++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    throw new WireError("varint longer than 10 bytes");
  }

  /** Reads a length and returns where the payload, which starts at `position`, ends. */
  delimited(): number {
    const end = this.varint() + this.position;
    if (end > this.end) throw new WireError("field reaches beyond its message");
    return end;
  }

  /** A length-delimited field without copying it. */
  slice(): Buffer {
    const end = this.delimited();
    const slice = this.bytes.subarray(this.position, end);
    this.position = end;
    return slice;
  }

  text(): string {
    const end = this.delimited();
    const text = this.bytes.toString("utf8", this.position, end);
    this.position = end;
    return text;
  }

  /** A reader of an embedded message. */
  message(): WireReader {
    const end = this.delimited();
    const reader = new WireReader(this.bytes, this.position, end);
    this.position = end;
    return reader;
  }

  double(): number {
    this.#advance(8);
    return this.bytes.readDoubleLE(this.position - 8);
  }

  /** Passes over a field of the given wire type. */
  skip(wireType: number): void {
    if (wireType === WIRE.varint) this.varint();
    else if (wireType === WIRE.bytes) this.position = this.delimited();
    else if (wireType === WIRE.fixed64) this.#advance(8);
    else if (wireType === WIRE.fixed32) this.#advance(4);
    else throw new WireError(`unsupported wire type ${wireType}`);
  }

  #advance(count: number): void {
    if (this.position + count > this.end) throw new WireError("truncated number");
    this.position += count;
  }
}

/**
 * Writes a buffer from its end to its start, so that the length of an embedded message is known when it is written:
 * write the last field first. Marks are distances from the end.
 */
export class BackwardWriter {
  #buffer: Buffer;
  #position: number;

  /** `capacity` in bytes; grows where it does not suffice. */
  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafe(capacity);
    this.#position = capacity;
  }

  /** Where an embedded message ends: hand it to `close` when its fields are written. */
  mark(): number {
    return this.#buffer.length - this.#position;
  }

  close(field: number, mark: number): void {
    this.#varint(this.mark() - mark);
    this.#tag(field, WIRE.bytes);
  }

  /** Completes a gRPC message whose fields were written since `mark`. */
  frame(mark: number): void {
    const length = this.mark() - mark;
    const at = this.#reserve(FRAME_HEADER_BYTES);
    this.#buffer[at] = 0;
    this.#buffer.writeUInt32BE(length, at + 1);
  }

  bytes(field: number, value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
    this.#varint(value.length);
    this.#tag(field, WIRE.bytes);
  }

  text(field: number, value: string): void {
    const length = Buffer.byteLength(value);
    const at = this.#reserve(length);
    this.#buffer.write(value, at, "utf8");
    this.#varint(length);
    this.#tag(field, WIRE.bytes);
  }

  uint(field: number, value: number): void {
    this.#varint(value);
    this.#tag(field, WIRE.varint);
  }

  double(field: number, value: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeDoubleLE(value, at);
    this.#tag(field, WIRE.fixed64);
  }

  /** What was written; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(this.#position);
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) size++;
    let at = this.#reserve(size);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.#buffer[at++] = (rest % 128) | 0x80;
    this.#buffer[at] = rest;
  }

  /** Makes room for bytes and returns where they go: call it before reading `#buffer`, which it may replace. */
  #reserve(count: number): number {
    if (this.#position < count) this.#grow(count);
    this.#position -= count;
    return this.#position;
  }

  #grow(count: number): void {
    const used = this.mark();
    const larger = Buffer.allocUnsafe((used + count) * 2);
    this.#buffer.copy(larger, larger.length - used, this.#position);
    this.#position = larger.length - used;
    this.#buffer = larger;
  }
}
