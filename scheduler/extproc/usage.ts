import type { Usage } from "../request/types.ts";

/** Longest `usage` object that is read. */
const MAX_OBJECT_BYTES = 4096;
const KEY = Buffer.from('"usage"');
const NO_BYTES = Buffer.alloc(0);

/**
 * Finds token counts in an answer as it passes, without parsing the rest. Inside of JSON strings quotes are escaped, so that
 * `"usage"` followed by an object is always a member. Counts of several objects (Anthropic's events) are merged: non-zero
 * values override.
 */
export class UsageScanner {
  #held: Buffer = NO_BYTES;
  #found: Usage | undefined;

  /** The next bytes of the answer; they are kept only where an object may span two chunks. */
  push(chunk: Buffer): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let from = 0;
    for (let at = bytes.indexOf(KEY); at >= 0; at = bytes.indexOf(KEY, from)) {
      from = at + KEY.length;
      const end = this.#read(bytes, from);
      if (end < 0 && bytes.length - at < MAX_OBJECT_BYTES) {
        this.#held = Buffer.from(bytes.subarray(at));
        return;
      }
      from = Math.max(from, end);
    }
    this.#held = Buffer.from(bytes.subarray(Math.max(from, bytes.length - KEY.length + 1)));
  }

  /** What was found so far; undefined where the answer told nothing. */
  get usage(): Usage | undefined {
    return this.#found;
  }

  /** Reads `: {…}` from `at` on. Returns where it ends, `at` where it is something else, −1 where bytes are missing. */
  #read(bytes: Buffer, at: number): number {
    const colon = skipSpace(bytes, at);
    const open = skipSpace(bytes, colon + 1);
    if (open >= bytes.length) return -1;
    if (bytes[colon] !== 0x3a || bytes[open] !== 0x7b) return at;
    const close = closingBrace(bytes, open);
    if (close < 0) return -1;
    this.#merge(parse(bytes.toString("utf8", open, close)));
    return close;
  }

  #merge(found: Usage): void {
    const known = this.#found;
    const promptTokens = found.promptTokens || known?.promptTokens;
    const completionTokens = found.completionTokens || known?.completionTokens;
    const sum = (promptTokens ?? 0) + (completionTokens ?? 0);
    const both = found.promptTokens !== undefined && found.completionTokens !== undefined;
    this.#found = {
      promptTokens,
      completionTokens,
      totalTokens: (both ? found.totalTokens : undefined) ?? sum,
      cachedTokens: found.cachedTokens ?? known?.cachedTokens,
    };
  }
}

function skipSpace(bytes: Buffer, at: number): number {
  let position = at;
  while (position < bytes.length && bytes[position]! <= 0x20) position++;
  return position;
}

/** A usage object holds numbers and objects of them; names contain no braces. */
function closingBrace(bytes: Buffer, open: number): number {
  let depth = 0;
  for (let at = open; at < Math.min(bytes.length, open + MAX_OBJECT_BYTES); at++) {
    if (bytes[at] === 0x7b) depth++;
    else if (bytes[at] === 0x7d && --depth === 0) return at + 1;
  }
  return -1;
}

type Json = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null;

function parse(text: string): Usage {
  const none: Usage = {
    promptTokens: undefined,
    completionTokens: undefined,
    totalTokens: undefined,
    cachedTokens: undefined,
  };
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? usageOf(value) : none;
  } catch {
    return none;
  }
}

/** The members of the OpenAI completions, OpenAI responses and Anthropic APIs. */
function usageOf(usage: Json): Usage {
  const details = usage.prompt_tokens_details ?? usage.input_tokens_details;
  const cached = isRecord(details) ? details.cached_tokens : usage.cache_read_input_tokens;
  return {
    promptTokens: count(usage.prompt_tokens) ?? count(usage.input_tokens),
    completionTokens: count(usage.completion_tokens) ?? count(usage.output_tokens),
    totalTokens: count(usage.total_tokens),
    cachedTokens: count(cached),
  };
}

function count(value: unknown): number | undefined {
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) && number >= 0 ? number : undefined;
}
