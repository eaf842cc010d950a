import { ScanError, type Span, isObject, scanObject, skipSpace } from "../../json/scan.ts";

/** A member of an object: where its key begins and its value lies. */
interface Member {
  readonly key: string;
  readonly keyStart: number;
  readonly value: Span;
}

/** What to make of members: text of a JSON value, or undefined to take the member out. */
export type Edits = Readonly<Record<string, string | Buffer | undefined>>;

/**
 * A JSON object as it was written, with its outermost members found once. Values are copied byte by byte, so that numbers keep
 * their digits and nothing is built only to be written again.
 */
export class JsonDocument {
  readonly bytes: Buffer;
  readonly #members: readonly Member[];

  /** Throws `ScanError` where the bytes are no JSON object. */
  constructor(bytes: Buffer) {
    const members: Member[] = [];
    const end = scanObject(bytes, skipSpace(bytes, 0), (key, value, keyStart) =>
      members.push({ key, keyStart, value }),
    );
    if (skipSpace(bytes, end) < bytes.length) throw new ScanError(`there is more after the object, at byte ${end}`);
    this.bytes = bytes;
    this.#members = members;
  }

  has(key: string): boolean {
    return this.#members.some((member) => member.key === key);
  }

  /** The text of a member's value, of the last one where the key is repeated; shares memory. */
  raw(key: string): Buffer | undefined {
    const member = this.#members.findLast((other) => other.key === key);
    return member === undefined ? undefined : this.bytes.subarray(member.value.start, member.value.end);
  }

  /** The value of a member; undefined where it is absent or cannot be read. */
  value(key: string): unknown {
    const raw = this.raw(key);
    if (raw === undefined) return undefined;
    try {
      return JSON.parse(raw.toString("utf8"));
    } catch {
      return undefined;
    }
  }

  /** The object at a member; undefined where there is none. */
  object(key: string): JsonDocument | undefined {
    const raw = this.raw(key);
    return raw !== undefined && isObject(raw, { start: 0, end: raw.length }) ? new JsonDocument(raw) : undefined;
  }

  /** The object with these edits: members stay in their place, new ones come last. */
  with(edits: Edits): Buffer {
    const parts: (string | Buffer)[] = [];
    const done = new Set<string>();
    for (const { key, keyStart, value } of this.#members) {
      if (!Object.hasOwn(edits, key)) parts.push(this.bytes.subarray(keyStart, value.end));
      else if (edits[key] !== undefined && !done.has(key))
        parts.push(Buffer.concat([this.bytes.subarray(keyStart, value.start), asBuffer(edits[key])]));
      done.add(key);
    }
    for (const [key, text] of Object.entries(edits))
      if (text !== undefined && !done.has(key)) parts.push(Buffer.concat([quoted(key), asBuffer(text)]));
    return Buffer.concat(
      ["{", ...parts.flatMap((part, index) => (index === 0 ? [part] : [",", part])), "}"].map(asBuffer),
    );
  }
}

const asBuffer = (text: string | Buffer): Buffer => (typeof text === "string" ? Buffer.from(text) : text);
const quoted = (key: string): Buffer => Buffer.from(`${JSON.stringify(key)}:`);

/** The object of these members, from nothing. */
export function jsonObject(members: Edits): Buffer {
  return new JsonDocument(Buffer.from("{}")).with(members);
}

/** A document, or undefined where the bytes are no JSON object. */
export function readDocument(bytes: Buffer): JsonDocument | undefined {
  try {
    return new JsonDocument(bytes);
  } catch (error) {
    if (error instanceof ScanError) return undefined;
    throw error;
  }
}
