import { TemplateError } from "./errors.ts";

/** A part of an action between `{{` and `}}`. */
export interface Token {
  readonly kind: "identifier" | "field" | "variable" | "dot" | "number" | "string" | "character" | "symbol";
  /** Identifier, field and variable names (with `$`), decoded strings, number and symbol texts. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** Whether blanks precede it: `.A .B` are two operands, `.A.B` is one. */
  readonly spaced: boolean;
}

/** Plain text, or one action with its tokens; comments leave nothing. */
export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly tokens: readonly Token[]; readonly start: number; readonly end: number };

/**
 * Which characters the trim markers `{{-` and `-}}` remove. `whitespace` is Go's own set. `blanks` leaves line breaks
 * and tabs: so it is where the template text is the JSON encoding of a string, in which they are escapes.
 */
export type TrimSet = "whitespace" | "blanks";

/** Tokens and actions of one text: far above what a person writes, and read in milliseconds. */
const MAX_TOKENS = 20_000;
/** Characters of a literal with escapes. */
const MAX_LITERAL = 100_000;

const OPEN = "{{";
const CLOSE = "}}";
const SPACES = " \t\r\n";
const TOKEN =
  /(?<space>[ \t\r\n]+)|(?<variable>\$[\p{L}\p{N}_]*)|\.(?<field>[\p{L}_][\p{L}\p{N}_]*)|(?<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?))|(?<identifier>[\p{L}_][\p{L}\p{N}_]*)|(?<quoted>"(?:[^"\\\n]|\\.)*")|(?<raw>`[^`]*`)|(?<character>'(?:[^'\\\n]|\\.)+')|(?<symbol>:=|[|(),=])|(?<dot>\.)/uy;

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/** Decodes the escapes of a Go interpreted string or character literal; undefined where one is unknown. */
function unescape(body: string): string | undefined {
  let failed = false;
  const pattern = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/gsu;
  const text = body.replace(pattern, (_, x?: string, u?: string, long?: string, octal?: string, single?: string) => {
    const hex = x ?? u ?? long;
    const code =
      hex === undefined ? (octal === undefined ? undefined : Number.parseInt(octal, 8)) : Number.parseInt(hex, 16);
    if (code !== undefined && code <= 0x10ffff) return String.fromCodePoint(code);
    const plain = ESCAPES[single ?? ""];
    failed ||= plain === undefined;
    return plain ?? "";
  });
  return failed ? undefined : text;
}

const trimEnd = (text: string, set: TrimSet): string => text.replace(set === "blanks" ? / +$/ : /[ \t\r\n]+$/, "");
const trimStart = (text: string, set: TrimSet): string => text.replace(set === "blanks" ? /^ +/ : /^[ \t\r\n]+/, "");

/** Splits a template's text into plain text and tokenised actions. */
export class Lexer {
  readonly #name: string;
  readonly #source: string;
  readonly #trim: TrimSet;
  readonly #pieces: Piece[] = [];
  #position = 0;
  #trimNext = false;
  #tokens = 0;

  constructor(name: string, source: string, trim: TrimSet) {
    this.#name = name;
    this.#source = source;
    this.#trim = trim;
  }

  #fail(start: number, end: number, detail: string): never {
    throw new TemplateError("parse", this.#name, this.#source, { start, end }, detail);
  }

  /** Errors: `TemplateError` for an unclosed action or comment, or a token that Go does not know. */
  run(): readonly Piece[] {
    for (;;) {
      const open = this.#source.indexOf(OPEN, this.#position);
      const end = open < 0 ? this.#source.length : open;
      const trimsLeft = open >= 0 && this.#source[open + 2] === "-" && SPACES.includes(this.#source[open + 3] ?? "x");
      this.#text(this.#source.slice(this.#position, end), trimsLeft);
      if (open < 0) return this.#pieces;
      this.#action(open, open + (trimsLeft ? 4 : 2));
    }
  }

  #text(raw: string, trimsRight: boolean): void {
    const head = this.#trimNext ? trimStart(raw, this.#trim) : raw;
    const text = trimsRight ? trimEnd(head, this.#trim) : head;
    if (text !== "") this.#pieces.push({ kind: "text", text });
  }

  #action(open: number, start: number): void {
    const first = start + (/^[ \t\r\n]*(?=\/\*)/.exec(this.#source.slice(start, start + 64))?.[0].length ?? 0);
    if (this.#source.startsWith("/*", first)) return this.#comment(open, first);
    this.#count(open);
    const tokens: Token[] = [];
    let at = start;
    let spaced = true;
    while (!this.#closes(at, spaced)) {
      const token = this.#token(open, at, spaced);
      spaced = token.kind === "space";
      this.#count(at);
      if (token.kind !== "space") tokens.push({ ...token, kind: token.kind });
      at = token.end;
    }
    this.#pieces.push({ kind: "action", tokens, start: open, end: this.#position });
  }

  #count(at: number): void {
    if (++this.#tokens > MAX_TOKENS) this.#fail(at, at, `more than ${MAX_TOKENS} tokens in one text`);
  }

  /** Whether the action ends at `at`; moves behind it if so. */
  #closes(at: number, spaced: boolean): boolean {
    const trims = spaced && this.#source.startsWith("-}}", at) && SPACES.includes(this.#source[at - 1] ?? "x");
    if (!trims && !this.#source.startsWith(CLOSE, at)) return false;
    this.#position = at + (trims ? 3 : 2);
    this.#trimNext = trims;
    return true;
  }

  #comment(open: number, start: number): void {
    const end = this.#source.indexOf("*/", start + 2);
    if (end < 0) this.#fail(open, open + 12, "unclosed comment");
    const tail = /^(?:[ \t\r\n]+(-)\}\}|\}\})/.exec(this.#source.slice(end + 2, end + 66));
    if (tail === null) this.#fail(open, end + 2, "comment ends before closing delimiter");
    this.#trimNext = tail[1] !== undefined;
    this.#position = end + 2 + tail[0].length;
  }

  #token(open: number, at: number, spaced: boolean): Omit<Token, "kind"> & { kind: Token["kind"] | "space" } {
    if (at >= this.#source.length) this.#fail(open, open + 24, "unclosed action");
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(this.#source)?.groups;
    if (groups === undefined) this.#fail(at, at + 1, this.#unknown(at));
    const end = TOKEN.lastIndex;
    const found = Object.entries(groups).find(([, text]) => text !== undefined);
    const [group = "symbol", text = ""] = found ?? [];
    if (group === "quoted" || group === "character" || group === "raw")
      return { ...this.#literal(group, text, at, end), start: at, end, spaced };
    return { kind: group as Token["kind"] | "space", text, start: at, end, spaced };
  }

  #literal(group: string, text: string, start: number, end: number): { kind: Token["kind"]; text: string } {
    const body = text.slice(1, -1);
    if (group === "raw") return { kind: "string", text: body };
    if (body.length > MAX_LITERAL) this.#fail(start, end, `literal longer than ${MAX_LITERAL} characters`);
    const decoded = unescape(body);
    if (decoded === undefined) this.#fail(start, end, "invalid escape in literal");
    if (group === "quoted") return { kind: "string", text: decoded };
    if (Array.from(decoded).length !== 1) this.#fail(start, end, "malformed character constant");
    return { kind: "character", text: decoded };
  }

  #unknown(at: number): string {
    const character = String.fromCodePoint(this.#source.codePointAt(at) ?? 0);
    if (character === '"') return "unterminated quoted string";
    if (character === "`") return "unterminated raw quoted string";
    if (character === "'") return "unterminated character constant";
    return `unexpected ${JSON.stringify(character)} in operand`;
  }
}
