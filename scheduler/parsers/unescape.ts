/** Takes the escapes out of JSON strings (RFC 8259 §7), in WebAssembly: eight bytes at a time where there is none. */
import {
  type WasmFunction,
  add32,
  and32,
  and64,
  below32,
  atMost32,
  const32,
  const64,
  during,
  equal64,
  get,
  growTo,
  instantiate,
  isZero64,
  load64,
  load8,
  not32,
  set,
  shiftRight64,
  store32,
  store64,
  store8,
  sub64,
  trailingZeros64,
  when,
  wrap,
  xor64,
} from "../wasm.ts";

const BACKSLASH = 0x5c;
/** Memory: where the function stopped reading, what each escape's letter stands for, then the text and room for the result. */
const LETTERS = 16;
const TEXT = LETTERS + 256;
/** Bytes are written eight at a time. A damaged `\\u` grows from two bytes to three. */
const SLACK = 16;

const ONES = const64(0x0101_0101_0101_0101n);
const HIGH_BITS = const64(0x8080_8080_8080_8080n);
const BACKSLASHES = const64(0x5c5c_5c5c_5c5c_5c5cn);

/** `unescape(at, end, out)`: copies to `out` until `end` or an escape without a letter of its own, and returns where it got. */
function unescapeFunction(): WasmFunction {
  const [at, end, out, word, zeros, letter, escaped, running, step] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const move = (bytes: readonly number[], written: readonly number[]) => [
    ...set(at, add32(get(at), bytes)),
    ...set(out, add32(get(out), written)),
  ];
  // A byte of `word` is a backslash where its difference to one is zero: the high bit of that byte is set then.
  const eight = [
    ...set(word, load64(get(at))),
    ...store64(get(out), get(word)),
    ...set(word, xor64(get(word), BACKSLASHES)),
    ...set(zeros, and64(and64(sub64(get(word), ONES), xor64(get(word), const64(-1n))), HIGH_BITS)),
    ...set(step, wrap(shiftRight64(trailingZeros64(get(zeros)), const64(3n)))),
    ...set(escaped, not32(isZero64(get(zeros)))),
    ...move(get(step), get(step)),
  ];
  const one = [
    ...set(word, load8(get(at))),
    ...when(equal64(get(word), const64(BigInt(BACKSLASH))), set(escaped, const32(1)), [
      ...store8(get(out), get(word)),
      ...move(const32(1), const32(1)),
    ]),
  ];
  const replace = [
    ...set(letter, load8(add32(wrap(load8(add32(get(at), const32(1)))), const32(LETTERS)))),
    ...when(isZero64(get(letter)), set(running, const32(0)), [
      ...store8(get(out), get(letter)),
      ...move(const32(2), const32(1)),
      ...set(escaped, const32(0)),
    ]),
  ];
  const body = [
    ...set(running, const32(1)),
    ...during(and32(get(running), below32(get(at), get(end))), [
      ...when(atMost32(add32(get(at), const32(8)), get(end)), eight, one),
      ...when(get(escaped), replace),
    ]),
    ...store32(const32(0), get(at)),
    ...get(out),
  ];
  const parameters = ["i32", "i32", "i32"] as const;
  return {
    name: "unescape",
    parameters,
    result: "i32",
    locals64: 3,
    locals32: 3,
    body,
  };
}

interface Exports {
  unescape(at: number, end: number, out: number): number;
}

const wasm = instantiate<Exports>([unescapeFunction()]);
let memory = mapped();

function mapped(): { readonly bytes: Buffer; readonly stopped: Int32Array } {
  const { buffer } = wasm.memory;
  return { bytes: Buffer.from(buffer), stopped: new Int32Array(buffer, 0, 1) };
}

const SIMPLE = {
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  '"': 0x22,
  "\\": BACKSLASH,
  "/": 0x2f,
};
for (const [letter, byte] of Object.entries(SIMPLE)) memory.bytes[LETTERS + letter.charCodeAt(0)] = byte;

/**
 * The text of a JSON string as UTF-8 without escapes, valid until the next call. An escape that JSON does not know stands for its
 * letter; a lone half of a surrogate pair becomes U+FFFD.
 */
export function unescaped(content: Buffer): Buffer {
  const end = TEXT + content.length;
  const start = end + SLACK;
  if (growTo(wasm, start + 1.5 * content.length + SLACK)) memory = mapped();
  const { bytes, stopped } = memory;
  bytes.set(content, TEXT);
  // A backslash at the very end stands for itself.
  bytes[end] = BACKSLASH;
  let at = TEXT;
  let out = start;
  for (;;) {
    out = wasm.unescape(at, end, out);
    at = stopped[0]!;
    if (at >= end) break;
    const escape = bytes.subarray(at, end);
    if (escape[1] === 0x75) {
      const [text, length] = unicodeEscape(escape);
      out += bytes.write(text, out, "utf8");
      at += length;
    } else {
      bytes[out++] = escape[1]!;
      at += 2;
    }
  }
  return Buffer.from(bytes.subarray(start, out));
}

/** The unit of `\uXXXX` at `at`; NaN where there is none. */
function codeUnit(escape: Buffer, at: number): number {
  if (escape[at] !== BACKSLASH || escape[at + 1] !== 0x75) return Number.NaN;
  let unit = 0;
  for (let digit = at + 2; digit < at + 6; digit++) unit = unit * 16 + digitOf(escape[digit] ?? 0);
  return unit;
}

function digitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = (byte | 0x20) - 0x61;
  return letter >= 0 && letter < 6 ? letter + 10 : Number.NaN;
}

/** The character of `\uXXXX`, or of a surrogate pair of them, and its length in bytes. A lone half becomes U+FFFD. */
function unicodeEscape(escape: Buffer): [string, number] {
  const unit = codeUnit(escape, 0);
  if (Number.isNaN(unit)) return ["\ufffd", 2];
  if (unit < 0xd800 || unit > 0xdfff) return [String.fromCharCode(unit), 6];
  const low = unit < 0xdc00 ? codeUnit(escape, 6) : Number.NaN;
  return low >= 0xdc00 && low <= 0xdfff ? [String.fromCharCode(unit, low), 12] : ["\ufffd", 6];
}
