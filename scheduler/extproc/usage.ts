import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import type { UsageFormat } from "../parsers/traits.ts";
import type { Usage } from "../request/types.ts";
import { EMBED_COUNTS, GENERATE_COUNTS, GrpcUsageReader } from "./grpc-usage.ts";

/** Longest `usage` object that is read. */
const MAX_OBJECT_BYTES = 4096;
/** Compressed answers up to this size are read for their usage, … */
const MAX_COMPRESSED_BYTES = 256 * 1024;
/** … as far as they are no larger than this. */
const MAX_PLAIN_BYTES = 4 * 1024 * 1024;
const KEY = Buffer.from('"usage"');
const NO_BYTES = Buffer.alloc(0);

/** Reads token counts from an answer as it passes. */
export interface UsageReader {
  /** The next bytes of the answer's body. */
  push(chunk: Buffer): void;
  /** What was found so far; undefined where the answer told nothing. */
  readonly usage: Usage | undefined;
}

const DECODERS: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Buffer>> = {
  gzip: gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
};

/** Whether answers of a content encoding can be read. */
export const isDecodable = (encoding: string): boolean => Object.hasOwn(DECODERS, encoding);

/** The reader for an API's answers; `encoding` is a decodable content encoding. Undefined: there is nothing to read. */
export function createUsageReader(format: UsageFormat, encoding?: string): UsageReader | undefined {
  const reader = plainReader(format);
  if (reader === undefined || encoding === undefined) return reader;
  return new CompressedUsageReader(reader, encoding);
}

function plainReader(format: UsageFormat): UsageReader | undefined {
  switch (format) {
    case "usage":
      return new UsageScanner();
    case "meta-info":
      return new MetaInfoReader();
    case "vllm-grpc":
      return new GrpcUsageReader(GENERATE_COUNTS);
    case "vllm-grpc-embed":
      return new GrpcUsageReader(EMBED_COUNTS);
    case "none":
      return undefined;
  }
}

/** Keeps a small compressed answer to read it at its end. */
class CompressedUsageReader implements UsageReader {
  readonly #reader: UsageReader;
  readonly #encoding: string;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(reader: UsageReader, encoding: string) {
    this.#reader = reader;
    this.#encoding = encoding;
  }

  push(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size <= MAX_COMPRESSED_BYTES) this.#parts.push(chunk);
    else this.#parts = [];
  }

  get usage(): Usage | undefined {
    if (this.#parts.length === 0) return this.#reader.usage;
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    try {
      this.#reader.push(DECODERS[this.#encoding]!(bytes, { maxOutputLength: MAX_PLAIN_BYTES }));
    } catch {
      // Damaged or too large: the answer passes all the same, without counts.
    }
    return this.#reader.usage;
  }
}

/**
 * Finds token counts in an answer as it passes, without parsing the rest. Inside of JSON strings quotes are escaped, so that
 * `"usage"` followed by an object is always a member. Counts of several objects (Anthropic's events) are merged: non-zero
 * values override.
 */
export class UsageScanner implements UsageReader {
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

const NO_USAGE: Usage = {
  promptTokens: undefined,
  completionTokens: undefined,
  totalTokens: undefined,
  cachedTokens: undefined,
};

type Json = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null;

function parse(text: string): Usage {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? usageOf(value) : NO_USAGE;
  } catch {
    return NO_USAGE;
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

const META_KEYS = [
  ["promptTokens", Buffer.from('"prompt_tokens"')],
  ["completionTokens", Buffer.from('"completion_tokens"')],
  ["cachedTokens", Buffer.from('"cached_tokens"')],
] as const;
/** More than the longest of the keys, white space and a number after it. */
const META_TAIL_BYTES = 64;

/**
 * Finds the counts of SGLang's `meta_info`, an object that may hold long lists, by their keys alone. The last value of each
 * counts, since those of a stream grow.
 */
class MetaInfoReader implements UsageReader {
  #held: Buffer = NO_BYTES;
  #found: Usage | undefined;

  push(chunk: Buffer): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (const [name, key] of META_KEYS) {
      for (let at = bytes.indexOf(key); at >= 0; at = bytes.indexOf(key, at + key.length)) {
        const value = numberAfter(bytes, at + key.length);
        if (value !== undefined) this.#found = { ...(this.#found ?? NO_USAGE), [name]: value };
      }
    }
    this.#held = Buffer.from(bytes.subarray(-META_TAIL_BYTES));
  }

  get usage(): Usage | undefined {
    if (this.#found === undefined) return undefined;
    const { promptTokens = 0, completionTokens = 0 } = this.#found;
    return { ...this.#found, totalTokens: promptTokens + completionTokens };
  }
}

/** The number of a member whose key ends before `at`; undefined where it is none, or not all there. */
function numberAfter(bytes: Buffer, at: number): number | undefined {
  return count(/^\s*:\s*"?(\d{1,15})[^\d]/.exec(bytes.toString("latin1", at, at + META_TAIL_BYTES))?.[1]);
}
