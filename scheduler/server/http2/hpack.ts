/** Header compression (RFC 7541): a complete decoder, and an encoder that uses no table of the peer's. */
import { ConnectionError, H2_ERROR } from "./frames.ts";
import { decodeHuffman } from "./huffman.ts";
import { type HeaderField, STATIC_TABLE } from "./static-table.ts";

/** Size of the dynamic table as a decoder announces it by default. */
export const TABLE_BYTES = 4096;
/** What an entry counts on top of its octets (RFC 7541 §4.1). */
export const ENTRY_OVERHEAD = 32;
/** Tells the peer that its table is not used: a size update to 0 (RFC 7541 §6.3). */
export const TABLE_UPDATE: Buffer = Buffer.of(0x20);
/** Integers beyond are no index or length that fits a block. */
const MAX_INTEGER = 2 ** 24;

/** A damaged block ends its connection: the table's state is lost with it. */
const damaged = (message: string): ConnectionError => new ConnectionError(H2_ERROR.compression, message);

const sizeOf = ({ name, value }: HeaderField): number => name.length + value.length + ENTRY_OVERHEAD;

/** Entries in the order of their arrival; the newest has the lowest index. */
class DynamicTable {
  #entries: HeaderField[] = [];
  /** Entries before it are evicted. */
  #first = 0;
  #size = 0;
  #capacity = TABLE_BYTES;

  resize(capacity: number): void {
    this.#capacity = capacity;
    this.#evict();
  }

  add(field: HeaderField): void {
    this.#entries.push(field);
    this.#size += sizeOf(field);
    this.#evict();
  }

  /** `age` 0 is the newest. */
  at(age: number): HeaderField | undefined {
    const index = this.#entries.length - 1 - age;
    return index < this.#first ? undefined : this.#entries[index];
  }

  #evict(): void {
    while (this.#size > this.#capacity) this.#size -= sizeOf(this.#entries[this.#first++]!);
    if (this.#first * 2 <= this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}

/** Decodes the header blocks of one connection, which must be given in their order. */
export class HpackDecoder {
  readonly #table = new DynamicTable();
  #block: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Room for decoded strings. */
  #scratch = Buffer.alloc(256);

  /** Calls `visit` for each field of a block; values are bytes as latin1. Throws `ConnectionError` for a damaged block. */
  decode(block: Buffer, visit: (name: string, value: string) => void): void {
    this.#block = block;
    this.#at = 0;
    let updatable = true;
    while (this.#at < block.length) {
      const first = block[this.#at]!;
      if ((first & 0xe0) === 0x20) {
        if (!updatable) throw damaged("table size changes within a header block");
        this.#resize();
        continue;
      }
      updatable = false;
      const field = this.#field(first);
      visit(field.name, field.value);
    }
  }

  #resize(): void {
    const capacity = this.#integer(5);
    if (capacity > TABLE_BYTES) throw damaged(`table size ${capacity} exceeds ${TABLE_BYTES}`);
    this.#table.resize(capacity);
  }

  #field(first: number): HeaderField {
    if (first >= 0x80) return this.#entry(this.#integer(7));
    const kept = first >= 0x40;
    const index = this.#integer(kept ? 6 : 4);
    const name = index === 0 ? this.#text() : this.#entry(index).name;
    const field = { name, value: this.#text() };
    if (kept) this.#table.add(field);
    return field;
  }

  #entry(index: number): HeaderField {
    const field = index < STATIC_TABLE.length ? STATIC_TABLE[index] : this.#table.at(index - STATIC_TABLE.length);
    if (index === 0 || field === undefined) throw damaged(`no header field has index ${index}`);
    return field;
  }

  /** An integer whose first byte has `bits` of it (RFC 7541 §5.1). */
  #integer(bits: number): number {
    const mask = 2 ** bits - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let factor = 1; factor <= MAX_INTEGER; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw damaged("integer is too large");
  }

  #text(): string {
    const huffman = (this.#block[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#block.length) throw damaged("string reaches beyond its block");
    this.#at = end;
    return huffman ? this.#expanded(start, end) : this.#block.toString("latin1", start, end);
  }

  #expanded(start: number, end: number): string {
    const most = Math.ceil(((end - start) * 8) / 5);
    if (this.#scratch.length < most) this.#scratch = Buffer.alloc(most * 2);
    const length = decodeHuffman(this.#block, start, end, this.#scratch);
    if (length < 0) throw damaged("string is not in the Huffman code");
    return this.#scratch.toString("latin1", 0, length);
  }

  #byte(): number {
    const byte = this.#block[this.#at++];
    if (byte === undefined) throw damaged("header block ends too early");
    return byte;
  }
}

/** Encodes fields as literals that the peer does not index. Names and values are latin1. */
export function encodeLiterals(fields: readonly HeaderField[]): Buffer {
  return Buffer.concat(fields.map(literal));
}

function literal({ name, value }: HeaderField): Buffer {
  const index = STATIC_TABLE.findIndex((field) => field.name === name);
  if (index > 0 && STATIC_TABLE[index]!.value === value) return integer(index, 7, 0x80);
  const key = index > 0 ? [integer(index, 4, 0)] : [Buffer.of(0), text(name)];
  return Buffer.concat([...key, text(value)]);
}

function text(value: string): Buffer {
  return Buffer.concat([integer(value.length, 7, 0), Buffer.from(value, "latin1")]);
}

/** An integer with a prefix of `bits`, whose first byte has the pattern's bits as well. */
function integer(value: number, bits: number, pattern: number): Buffer {
  const mask = 2 ** bits - 1;
  if (value < mask) return Buffer.of(pattern | value);
  const bytes = [pattern | mask];
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}
