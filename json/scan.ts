/**
 * Finds values in JSON text without building them. The scan checks the grammar of the outermost object and the balance of
 * all below it; it does not check escapes, control characters or nested punctuation, which the model server does.
 */

/** Text that is no JSON object. */
export class ScanError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ScanError";
  }
}

/** A JSON value: offsets of its first byte and of the byte after its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A span whose value is known to be of one JSON type; the mark exists for the type checker alone. */
interface KnownSpan extends Span {
  readonly known: never;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d];
const [COMMA, COLON] = [0x2c, 0x3a];
/** Strings up to this length are searched byte by byte: shorter than a native search takes to start. */
const NEAR_BYTES = 48;

/** Offset of the first byte at or after `at` that is no JSON white space. */
export function skipSpace(bytes: Buffer, at: number): number {
  let position = at;
  for (;;) {
    const byte = bytes[position];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return position;
    position++;
  }
}

/** Offset after the closing quote of the string that opens at `at`. */
export function skipString(bytes: Buffer, at: number): number {
  let position = at + 1;
  const near = Math.min(bytes.length, position + NEAR_BYTES);
  for (; position < near; position++) {
    const byte = bytes[position];
    if (byte === QUOTE) return position + 1;
    if (byte === BACKSLASH) position++;
  }
  for (;;) {
    const quote = bytes.indexOf(QUOTE, position);
    if (quote < 0) throw new ScanError("unexpected end of JSON input in a string");
    if (!isEscaped(bytes, quote, position)) return quote + 1;
    position = quote + 1;
  }
}

/** Whether an odd run of backslashes, none of them before `from`, precedes `at`. */
function isEscaped(bytes: Buffer, at: number, from: number): boolean {
  let run = 0;
  while (at - 1 - run >= from && bytes[at - 1 - run] === BACKSLASH) run++;
  return run % 2 === 1;
}

function skipContainer(bytes: Buffer, at: number): number {
  let depth = 0;
  for (let position = at; position < bytes.length; ) {
    const byte = bytes[position]!;
    if (byte === QUOTE) {
      position = skipString(bytes, position);
      continue;
    }
    position++;
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++;
    else if ((byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) && --depth === 0) return position;
  }
  throw new ScanError("unexpected end of JSON input");
}

const SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;

function skipScalar(bytes: Buffer, at: number): number {
  let end = at;
  while (end < bytes.length && !isDelimiter(bytes[end]!)) end++;
  if (!SCALAR.test(bytes.toString("latin1", at, Math.min(end, at + 400)))) throw invalid(bytes, at);
  return end;
}

const isDelimiter = (byte: number): boolean =>
  byte <= 0x20 || byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_ARRAY || byte === COLON;

function invalid(bytes: Buffer, at: number): ScanError {
  if (at >= bytes.length) return new ScanError("unexpected end of JSON input");
  const character = bytes.toString("utf8", at, Math.min(bytes.length, at + 4)).charAt(0);
  return new ScanError(`invalid character ${JSON.stringify(character)} at byte ${at}`);
}

/** Offset after the value that starts at `at`. */
export function skipValue(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === QUOTE) return skipString(bytes, at);
  if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) return skipContainer(bytes, at);
  return skipScalar(bytes, at);
}

/** A key as text. One with escapes that JSON does not know stays as it is written. */
function keyText(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString("utf8", start, end);
  if (!text.includes("\\")) return text.slice(1, -1);
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}

/**
 * Calls `visit` for each member of the object that starts at `at`, with the decoded key and the offset of its quote; a later
 * duplicate is visited later. Returns the offset after the object. Throws `ScanError`.
 */
export function scanObject(
  bytes: Buffer,
  at: number,
  visit: (key: string, value: Span, keyStart: number) => void,
): number {
  if (bytes[at] !== OPEN_OBJECT) throw invalid(bytes, at);
  let position = skipSpace(bytes, at + 1);
  if (bytes[position] === CLOSE_OBJECT) return position + 1;
  for (;;) {
    if (bytes[position] !== QUOTE) throw invalid(bytes, position);
    const keyEnd = skipString(bytes, position);
    const colon = skipSpace(bytes, keyEnd);
    if (bytes[colon] !== COLON) throw invalid(bytes, colon);
    const start = skipSpace(bytes, colon + 1);
    const end = skipValue(bytes, start);
    visit(keyText(bytes, position, keyEnd), { start, end }, position);
    position = skipSpace(bytes, end);
    if (bytes[position] === CLOSE_OBJECT) return position + 1;
    if (bytes[position] !== COMMA) throw invalid(bytes, position);
    position = skipSpace(bytes, position + 1);
  }
}

/** Calls `visit` for each element of the array at `at`. Throws `ScanError`. */
export function scanArray(bytes: Buffer, at: number, visit: (element: Span) => void): void {
  readArray(bytes, at, (start) => {
    const end = skipValue(bytes, start);
    visit({ start, end });
    return end;
  });
}

/**
 * Calls `visit` for each object in the array at `at` with its members; other elements are passed over. Returns whether there are
 * no others. Throws `ScanError`.
 */
export function scanObjects(
  bytes: Buffer,
  at: number,
  visit: (members: ReadonlyMap<string, Span>, element: Span) => void,
): boolean {
  let only = true;
  readArray(bytes, at, (start) => {
    if (bytes[start] !== OPEN_OBJECT) {
      only = false;
      return skipValue(bytes, start);
    }
    const members = new Map<string, Span>();
    const end = scanObject(bytes, start, (key, value) => void members.set(key, value));
    visit(members, { start, end });
    return end;
  });
  return only;
}

/** Has each element of an array read from where it starts; `read` returns where it ends. */
function readArray(bytes: Buffer, at: number, read: (start: number) => number): void {
  let position = skipSpace(bytes, at + 1);
  if (bytes[position] === CLOSE_ARRAY) return;
  for (;;) {
    position = skipSpace(bytes, read(position));
    if (bytes[position] === CLOSE_ARRAY) return;
    if (bytes[position] !== COMMA) throw invalid(bytes, position);
    position = skipSpace(bytes, position + 1);
  }
}

/** Members of the JSON object that `bytes` are as a whole; the last of duplicates. Throws `ScanError`. */
export function scanDocument(bytes: Buffer): Map<string, Span> {
  const members = new Map<string, Span>();
  const end = scanObject(bytes, skipSpace(bytes, 0), (key, value) => void members.set(key, value));
  const rest = skipSpace(bytes, end);
  if (rest < bytes.length) throw invalid(bytes, rest);
  return members;
}

export const isString = (bytes: Buffer, span: Span | undefined): span is KnownSpan =>
  span !== undefined && bytes[span.start] === QUOTE;
export const isArray = (bytes: Buffer, span: Span | undefined): span is KnownSpan =>
  span !== undefined && bytes[span.start] === OPEN_ARRAY;
export const isObject = (bytes: Buffer, span: Span | undefined): span is KnownSpan =>
  span !== undefined && bytes[span.start] === OPEN_OBJECT;
export const isNull = (bytes: Buffer, span: Span): boolean => bytes[span.start] === 0x6e;
export const isTrue = (bytes: Buffer, span: Span | undefined): boolean =>
  span !== undefined && bytes[span.start] === 0x74;

/** Whether an array has an element. */
export const hasElement = (bytes: Buffer, span: Span): boolean =>
  bytes[skipSpace(bytes, span.start + 1)] !== CLOSE_ARRAY;

/** The number at a span, or undefined where it is none. */
export function numberValue(bytes: Buffer, span: Span | undefined): number | undefined {
  if (span === undefined) return undefined;
  const first = bytes[span.start]!;
  if (first !== 0x2d && (first < 0x30 || first > 0x39)) return undefined;
  return Number(bytes.toString("latin1", span.start, span.end));
}
