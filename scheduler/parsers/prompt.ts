import {
  type Span,
  isArray,
  isObject,
  isString,
  scanArray,
  scanObject,
  scanObjects,
  skipSpace,
} from "../../json/scan.ts";
import type { MediaEstimate, MediaPart } from "../request/types.ts";
import { stringBytes } from "./string-value.ts";
import { unescaped } from "./unescape.ts";

const BACKSLASH = 0x5c;

/** Members of a request body. */
export type Members = ReadonlyMap<string, Span>;

/** What counts of a message of a conversation. */
export interface Message {
  readonly role: Span | undefined;
  /** Text or an array of blocks. */
  readonly content: Span | undefined;
}

/** Words that may stand for images, video and audio in one prompt: bounds what a request can claim. */
const MAX_MEDIA_TOKENS = 1_000_000;

/** One word for each part: for whoever does not estimate. */
const ONE_WORD: MediaEstimate = () => ({ word: 0, count: 1 });

/** Collects the prompt bytes of one request. */
class PromptBytes {
  #bytes: Buffer;
  #length = 0;
  #mediaTokens = 0;
  readonly #estimate: MediaEstimate;

  /** `capacity`: bytes that are likely to come. */
  constructor(capacity: number, estimate: MediaEstimate = ONE_WORD) {
    this.#bytes = Buffer.allocUnsafe(capacity);
    this.#estimate = estimate;
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

  /** Stands for content that is not text: copies of its word, from a 4-byte boundary on. */
  addPart(part: MediaPart): void {
    const { word, count } = this.#estimate(part);
    const words = Math.min(Math.max(1, count), MAX_MEDIA_TOKENS - this.#mediaTokens);
    if (words <= 0) return;
    this.#mediaTokens += words;
    this.add(Buffer.alloc((4 - (this.#length % 4)) % 4));
    const pattern = Buffer.alloc(4);
    pattern.writeUInt32LE(word);
    this.add(Buffer.alloc(4 * words, pattern));
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

const raw = (bytes: Buffer, span: Span): Buffer => bytes.subarray(span.start, span.end);

const isNull = (bytes: Buffer, { start }: Span): boolean => bytes[start] === 0x6e;

/** Messages of a conversation; undefined where one is no object, or has content that is neither text nor blocks. */
export function readMessages(bytes: Buffer, span: Span | undefined): readonly Message[] | undefined {
  if (!isArray(bytes, span)) return undefined;
  const messages: Message[] = [];
  let isGood = true;
  const allObjects = scanObjects(bytes, span.start, (members) => {
    const [role, content] = [members.get("role"), members.get("content")];
    if (content !== undefined) isGood &&= isString(bytes, content) || isArray(bytes, content) || isNull(bytes, content);
    messages.push({ role, content });
  });
  return allObjects && isGood ? messages : undefined;
}

/** Chat completions: tools, then role and content of each message, without separators. */
export function chatPrompt(
  bytes: Buffer,
  members: Members,
  messages: readonly Message[],
  estimate?: MediaEstimate,
): Buffer {
  const prompt = new PromptBytes(bytes.length, estimate);
  addTools(prompt, bytes, members);
  addMessages(prompt, bytes, messages);
  return prompt.finish();
}

/** Anthropic messages: tools, the system text, then the messages. */
export function messagesPrompt(
  bytes: Buffer,
  members: Members,
  messages: readonly Message[],
  estimate?: MediaEstimate,
): Buffer {
  const prompt = new PromptBytes(bytes.length, estimate);
  addTools(prompt, bytes, members);
  addSystem(prompt, bytes, members.get("system"));
  addMessages(prompt, bytes, messages);
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

function addMessages(prompt: PromptBytes, bytes: Buffer, messages: readonly Message[]): void {
  for (const { role, content } of messages) {
    if (isString(bytes, role)) prompt.addString(bytes, role);
    addContent(prompt, bytes, content);
  }
}

/** Begins a system block that tells who pays, and differs where the prompt does not. */
const BILLING = "x-anthropic-billing-header";

function addSystem(prompt: PromptBytes, bytes: Buffer, system: Span | undefined): void {
  if (isString(bytes, system)) prompt.addString(bytes, system);
  else if (isArray(bytes, system))
    scanObjects(bytes, system.start, (block) => {
      const text = block.get("text");
      if (isString(bytes, text) && !stringBytes(bytes, text).subarray(0, BILLING.length).equals(Buffer.from(BILLING)))
        prompt.addString(bytes, text);
    });
}

function addContent(prompt: PromptBytes, bytes: Buffer, content: Span | undefined): void {
  if (isString(bytes, content)) prompt.addString(bytes, content);
  else if (isArray(bytes, content))
    scanObjects(bytes, content.start, (members, block) => addBlock(prompt, bytes, members, block));
}

function addBlock(prompt: PromptBytes, bytes: Buffer, block: Members, span: Span): void {
  const type = textOf(bytes, block.get("type")).toString();
  if (type === "tool_use") return addToolUse(prompt, bytes, block);
  if (type === "tool_result") return addToolResult(prompt, bytes, block.get("content"));
  const part = mediaPart(bytes, type, block);
  const text = block.get(type === "thinking" ? "thinking" : "text");
  if (part !== undefined) prompt.addPart(part);
  else if (isString(bytes, text)) prompt.addString(bytes, text);
  else if (type !== "text" && type !== "thinking")
    // A kind of block that is not known: it counts by its length, and tells requests apart.
    prompt.addPart({ modality: "audio", content: raw(bytes, span) });
}

function addToolUse(prompt: PromptBytes, bytes: Buffer, block: Members): void {
  for (const key of ["id", "name"]) prompt.add(textOf(bytes, block.get(key)));
  const input = block.get("input");
  if (input !== undefined) prompt.add(raw(bytes, input));
}

/** Texts of a tool's result are lines. */
function addToolResult(prompt: PromptBytes, bytes: Buffer, content: Span | undefined): void {
  if (!isArray(bytes, content)) return addContent(prompt, bytes, content);
  let lines = 0;
  scanObjects(bytes, content.start, (block) => {
    const text = block.get("text");
    const part = mediaPart(bytes, textOf(bytes, block.get("type")).toString(), block);
    if (part !== undefined) return prompt.addPart(part);
    if (!isString(bytes, text)) return;
    if (lines++ > 0) prompt.add(Buffer.from("\n"));
    prompt.addString(bytes, text);
  });
}

const NO_TEXT = Buffer.alloc(0);

const textOf = (bytes: Buffer, span: Span | undefined): Buffer =>
  isString(bytes, span) ? stringBytes(bytes, span) : NO_TEXT;

/** Members of an object that a member holds. */
function inner(bytes: Buffer, span: Span | undefined): Members {
  const members = new Map<string, Span>();
  if (isObject(bytes, span)) scanObject(bytes, span.start, (key, value) => void members.set(key, value));
  return members;
}

/** Types of blocks that hold a URL, in a member of their own name. */
const BY_URL: ReadonlyMap<string, MediaPart["modality"]> = new Map([
  ["image_url", "image"],
  ["video_url", "video"],
  ["audio_url", "audio"],
]);

/** The image, video or audio that a block is: of OpenAI's APIs, or an image of Anthropic's. */
function mediaPart(bytes: Buffer, type: string, block: Members): MediaPart | undefined {
  const modality = BY_URL.get(type);
  if (modality !== undefined) {
    const holder = block.get(type);
    return { modality, content: textOf(bytes, isString(bytes, holder) ? holder : inner(bytes, holder).get("url")) };
  }
  if (type === "input_image") return { modality: "image", content: textOf(bytes, block.get("image_url")) };
  if (type === "input_audio") {
    const audio = inner(bytes, block.get(type));
    const parts = ["data", "format"].map((key) => textOf(bytes, audio.get(key)));
    return { modality: "audio", content: Buffer.concat(parts) };
  }
  return type === "image"
    ? { modality: "image", content: imageSource(bytes, inner(bytes, block.get("source"))) }
    : undefined;
}

/** The URL of an Anthropic image; data as a data URL. */
function imageSource(bytes: Buffer, source: Members): Buffer {
  const url = source.get("url");
  if (isString(bytes, url)) return stringBytes(bytes, url);
  const type = textOf(bytes, source.get("media_type"));
  return Buffer.concat([Buffer.from("data:"), type, Buffer.from(";base64,"), textOf(bytes, source.get("data"))]);
}

/** The images, videos and audio parts of messages, in their order. */
export function mediaOf(bytes: Buffer, messages: readonly Message[]): readonly MediaPart[] {
  const parts: MediaPart[] = [];
  const visit = (content: Span | undefined): void => {
    if (!isArray(bytes, content)) return;
    scanObjects(bytes, content.start, (block) => {
      const type = textOf(bytes, block.get("type")).toString();
      const part = mediaPart(bytes, type, block);
      if (part !== undefined) parts.push(part);
      else if (type === "tool_result") visit(block.get("content"));
    });
  };
  for (const { content } of messages) visit(content);
  return parts;
}
