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

/**
 * Calls `visit` for each member of the object that starts at `at`, with the decoded key; a later duplicate is visited
 * later. Returns the offset after the object. Throws `ScanError`.
 */
export function scanObject(bytes: Buffer, at: number, visit: (key: string, value: Span) => void): number {
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
    visit(stringValue(bytes, { start: position, end: keyEnd }), { start, end });
    position = skipSpace(bytes, end);
    if (bytes[position] === CLOSE_OBJECT) return position + 1;
    if (bytes[position] !== COMMA) throw invalid(bytes, position);
    position = skipSpace(bytes, position + 1);
  }
}

/** Calls `visit` for each element of the array at `at`. Throws `ScanError`. */
export function scanArray(bytes: Buffer, at: number, visit: (element: Span) => void): void {
  let position = skipSpace(bytes, at + 1);
  if (bytes[position] === CLOSE_ARRAY) return;
  for (;;) {
    const end = skipValue(bytes, position);
    visit({ start: position, end });
    position = skipSpace(bytes, end);
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

/** The string at a span as UTF-8 without escapes; shares memory where nothing is escaped. */
export function stringBytes(bytes: Buffer, span: Span): Buffer {
  const content = bytes.subarray(span.start + 1, span.end - 1);
  const escape = content.indexOf(BACKSLASH);
  return escape < 0 ? content : unescape(content, escape);
}

/** The string at a span. */
export function stringValue(bytes: Buffer, span: Span): string {
  return stringBytes(bytes, span).toString("utf8");
}

const SIMPLE_ESCAPES: Readonly<Record<number, number>> = { 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9 };

/** Escapes never grow: `\uXXXX` takes six bytes and makes at most three, a pair twelve and four. */
function unescape(content: Buffer, firstEscape: number): Buffer {
  const out = Buffer.allocUnsafe(content.length + 3);
  let written = 0;
  let from = 0;
  for (let at = firstEscape; at >= 0; at = content.indexOf(BACKSLASH, from)) {
    written += content.copy(out, written, from, at);
    const kind = content[at + 1] ?? BACKSLASH;
    let length = 2;
    if (kind === 0x75) {
      const [text, read] = unicodeEscape(content, at);
      written += out.write(text, written, "utf8");
      length = read;
    } else out[written++] = SIMPLE_ESCAPES[kind] ?? kind;
    from = Math.min(at + length, content.length);
  }
  written += content.copy(out, written, from);
  return out.subarray(0, written);
}

/** The unit of a whole `\uXXXX` at `at`; NaN where there is none. */
function codeUnit(content: Buffer, at: number): number {
  if (content[at] !== BACKSLASH || content[at + 1] !== 0x75) return Number.NaN;
  const digits = content.toString("latin1", at + 2, at + 6);
  return /^[\da-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
}

/** The character of `\uXXXX`, or of a surrogate pair of them, and its length in bytes. A lone half becomes U+FFFD. */
function unicodeEscape(content: Buffer, at: number): [string, number] {
  const unit = codeUnit(content, at);
  if (Number.isNaN(unit)) return ["\ufffd", 2];
  if (unit < 0xd800 || unit > 0xdfff) return [String.fromCharCode(unit), 6];
  const low = unit < 0xdc00 ? codeUnit(content, at + 6) : Number.NaN;
  return low >= 0xdc00 && low <= 0xdfff ? [String.fromCharCode(unit, low), 12] : ["\ufffd", 6];
}
