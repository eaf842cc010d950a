import { type Span, isArray, isString, scanArray, scanObjects, skipSpace, stringBytes, stringValue } from "./scan.ts";
import { unescaped } from "./unescape.ts";

const BACKSLASH = 0x5c;

/** Members of a request body. */
export type Members = ReadonlyMap<string, Span>;

/** Pseudo tokens of an image whose size is not known: 640 × 360 pixels at 1,024 pixels each. */
const IMAGE_TOKENS = 225;
/** Pseudo tokens of one part that is not text. */
const MAX_PART_TOKENS = 4096;

/** Collects the prompt bytes of one request. */
class PromptBytes {
  #bytes: Buffer;
  #length = 0;

  /** `capacity`: bytes that are likely to come. */
  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  add(part: Buffer): void {
    const needed = this.#length + part.length;
    if (needed > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], needed * 2);
    this.#length += part.copy(this.#bytes, this.#length);
  }

  /** Adds the JSON string at a span. */
  addString(bytes: Buffer, span: Span): void {
    const content = bytes.subarray(span.start + 1, span.end - 1);
    this.add(content.includes(BACKSLASH) ? unescaped(content) : content);
  }

  /** Stands for content that is not text: `count` copies of its hash, from a 4-byte boundary on. */
  addPart(content: Buffer, count: number): void {
    this.add(Buffer.alloc((4 - (this.#length % 4)) % 4));
    const word = Buffer.alloc(4);
    word.writeUInt32LE(fnv1a(content));
    this.add(Buffer.alloc(4 * Math.min(Math.max(1, count), MAX_PART_TOKENS), word));
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** FNV-1a, 32 bits. */
function fnv1a(bytes: Buffer): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

const raw = (bytes: Buffer, span: Span): Buffer => bytes.subarray(span.start, span.end);

/** Chat completions: tools, then role and content of each message, without separators. */
export function chatPrompt(bytes: Buffer, members: Members): Buffer {
  const prompt = new PromptBytes(bytes.length);
  addTools(prompt, bytes, members);
  addMessages(prompt, bytes, members.get("messages"));
  return prompt.finish();
}

/** Anthropic messages: tools, the system text, then the messages. */
export function messagesPrompt(bytes: Buffer, members: Members): Buffer {
  const prompt = new PromptBytes(bytes.length);
  addTools(prompt, bytes, members);
  addContent(prompt, bytes, members.get("system"));
  addMessages(prompt, bytes, members.get("messages"));
  return prompt.finish();
}

/** Responses: the JSON array of instructions, tools and input, each as its own object. */
export function responsesPrompt(bytes: Buffer, members: Members): Buffer {
  const present = ["instructions", "tools", "input"].flatMap((key) => {
    const span = members.get(key);
    return span === undefined ? [] : [[Buffer.from(`{"${key}":`), raw(bytes, span), Buffer.from("}")]];
  });
  const parts = present.flatMap((part, index) => (index === 0 ? part : [Buffer.from(","), ...part]));
  return Buffer.concat([Buffer.from("["), ...parts, Buffer.from("]")]);
}

/** The JSON text of a member; empty where it is absent. */
export function rawPrompt(bytes: Buffer, members: Members, key: string): Buffer {
  const span = members.get(key);
  return span === undefined ? Buffer.alloc(0) : raw(bytes, span);
}

/** A string, or each string of an array. */
export function textPrompts(bytes: Buffer, span: Span): Buffer[] {
  if (isString(bytes, span)) return [stringBytes(bytes, span)];
  const prompts: Buffer[] = [];
  if (isArray(bytes, span))
    scanArray(bytes, span.start, (element) => {
      if (isString(bytes, element)) prompts.push(stringBytes(bytes, element));
    });
  return prompts;
}

/** Whether a span is an array that starts with a number. */
export function isTokenIds(bytes: Buffer, span: Span | undefined): boolean {
  if (!isArray(bytes, span)) return false;
  const first = bytes[skipSpace(bytes, span.start + 1)]!;
  return first >= 0x30 && first <= 0x39;
}

/**
 * The token ids of an array, or an offending element's index: each has to be an integer from 0 to 2^32 − 1.
 */
export function tokenIds(bytes: Buffer, span: Span): Uint32Array | { readonly badIndex: number } {
  const ids: number[] = [];
  let badIndex = -1;
  scanArray(bytes, span.start, (element) => {
    const id = Number(bytes.toString("latin1", element.start, element.end));
    if (badIndex < 0 && !(Number.isInteger(id) && id >= 0 && id <= 0xffff_ffff)) badIndex = ids.length;
    ids.push(id);
  });
  return badIndex < 0 ? Uint32Array.from(ids) : { badIndex };
}

function addTools(prompt: PromptBytes, bytes: Buffer, members: Members): void {
  const tools = members.get("tools");
  if (isArray(bytes, tools)) prompt.add(raw(bytes, tools));
}

function addMessages(prompt: PromptBytes, bytes: Buffer, messages: Span | undefined): void {
  if (!isArray(bytes, messages)) return;
  scanObjects(bytes, messages.start, (members) => {
    const role = members.get("role");
    if (isString(bytes, role)) prompt.addString(bytes, role);
    addContent(prompt, bytes, members.get("content"));
  });
}

function addContent(prompt: PromptBytes, bytes: Buffer, content: Span | undefined): void {
  if (isString(bytes, content)) prompt.addString(bytes, content);
  else if (isArray(bytes, content))
    scanObjects(bytes, content.start, (members, block) => addBlock(prompt, bytes, members, block));
}

function addBlock(prompt: PromptBytes, bytes: Buffer, members: Members, block: Span): void {
  const type = members.get("type");
  const name = isString(bytes, type) ? stringValue(bytes, type) : "";
  const text = members.get(name === "thinking" ? "thinking" : "text");
  if (isString(bytes, text)) prompt.addString(bytes, text);
  else if (name.startsWith("image")) prompt.addPart(raw(bytes, block), IMAGE_TOKENS);
  else prompt.addPart(raw(bytes, block), Math.ceil((block.end - block.start) / 4));
}
