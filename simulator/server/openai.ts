import { tokenize } from "../engine/tokens.ts";
import { type KvTransfer, readCacheHitThreshold, readKvTransfer } from "./disaggregation.ts";
import { ApiError } from "./errors.ts";

/** A completions or chat request, reduced to what the simulation needs. */
export interface CompletionRequest {
  readonly kind: "chat" | "completions";
  readonly model: string;
  /** Token ids for each prompt; a chat has one. */
  readonly prompts: readonly (readonly number[])[];
  /** Text for each prompt that `echo` mode repeats; "" for prompts given as ids. */
  readonly texts: readonly string[];
  readonly maxTokens: number | undefined;
  readonly ignoreEos: boolean;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly kvTransfer: KvTransfer;
  /** Share of the prompt that has to be cached for an answer; undefined: the server's. */
  readonly cacheHitThreshold: number | undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** Reads a request body. Throws `ApiError` 400 naming the field that is wrong. */
export function parseCompletionRequest(kind: CompletionRequest["kind"], bytes: Buffer): CompletionRequest {
  const body = parseObject(bytes);
  const { texts, prompts } = kind === "chat" ? chatPrompt(body) : completionPrompts(body);
  const limits = kind === "chat" ? [body.max_completion_tokens, body.max_tokens] : [body.max_tokens];
  const stream = body.stream === true;
  return {
    kind,
    model: typeof body.model === "string" ? body.model : "",
    texts,
    prompts,
    maxTokens: checkLimit(limits.find((limit) => limit !== undefined && limit !== null)),
    ignoreEos: body.ignore_eos === true,
    stream,
    includeUsage: stream && isObject(body.stream_options) && body.stream_options.include_usage === true,
    kvTransfer: readKvTransfer(body),
    cacheHitThreshold: readCacheHitThreshold(body),
  };
}

function parseObject(bytes: Buffer): Json {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new ApiError(400, `body is not JSON: ${error instanceof Error ? error.message : "unreadable"}`);
  }
  if (!isObject(value)) throw new ApiError(400, "body must be a JSON object");
  return value;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkLimit(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
  throw new ApiError(400, `max_tokens must be a positive integer, got ${JSON.stringify(value)}`, "max_tokens");
}

function chatPrompt(body: Json): Pick<CompletionRequest, "texts" | "prompts"> {
  const { messages } = body;
  if (!Array.isArray(messages) || messages.length === 0)
    throw new ApiError(400, "messages must be a list with at least one message", "messages");
  const contents = messages.map((message: unknown) => contentText(isObject(message) ? message.content : undefined));
  return {
    texts: [contents.at(-1) ?? ""],
    prompts: [tokenize(contents.map((content) => `### ${content}\n`).join(""))],
  };
}

function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (content === undefined || content === null) return "";
  if (!Array.isArray(content)) throw new ApiError(400, "content must be a text or a list of parts", "messages");
  return content.map((part: unknown) => (isObject(part) && typeof part.text === "string" ? part.text : "")).join(" ");
}

function completionPrompts({ prompt }: Json): Pick<CompletionRequest, "texts" | "prompts"> {
  const list: readonly unknown[] =
    typeof prompt === "string" || isIds(prompt) ? [prompt] : Array.isArray(prompt) ? prompt : [];
  if (list.length === 0 || prompt === "") throw new ApiError(400, "prompt must not be empty", "prompt");
  const texts = list.map((item) => (typeof item === "string" ? item : ""));
  const prompts = list.map((item) => {
    if (typeof item === "string") return tokenize(item);
    if (isIds(item)) return item;
    throw new ApiError(400, "prompt must be a text, a list of texts, or a list of token ids", "prompt");
  });
  return { texts, prompts };
}

function isIds(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((id) => Number.isInteger(id) && id >= 0);
}

/** Token counts of an answer. */
export interface UsageCounts {
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
}

/** One finished choice of an answer. */
export interface Choice {
  readonly index: number;
  readonly text: string;
  readonly finishReason: string;
}

/** Identity that all parts of one answer repeat. */
export interface AnswerHead {
  readonly kind: CompletionRequest["kind"];
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

const usageJson = ({ prompt, completion, cached }: UsageCounts) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: { cached_tokens: cached },
});

/** The whole answer of a request without streaming; `transferParams` where KV blocks are held for another engine. */
export function formatAnswer(
  head: AnswerHead,
  choices: readonly Choice[],
  usage: UsageCounts,
  transferParams?: Json,
): string {
  const chat = head.kind === "chat";
  return JSON.stringify({
    id: head.id,
    object: chat ? "chat.completion" : "text_completion",
    created: head.created,
    model: head.model,
    choices: choices.map(({ index, text, finishReason }) => ({
      index,
      ...(chat ? { message: { role: "assistant", content: text } } : { text }),
      logprobs: null,
      finish_reason: finishReason,
    })),
    usage: usageJson(usage),
    ...(transferParams === undefined ? {} : { kv_transfer_params: transferParams }),
  });
}

/** One server-sent event with a piece of a choice; the first piece of a chat names the role. */
export function formatChunk(
  head: AnswerHead,
  choice: { index: number; piece: string; first: boolean; finishReason: string | null },
): string {
  const chat = head.kind === "chat";
  const delta = choice.first ? { role: "assistant", content: choice.piece } : { content: choice.piece };
  const content = chat ? { delta } : { text: choice.piece };
  return formatEvent(
    head,
    [{ index: choice.index, ...content, logprobs: null, finish_reason: choice.finishReason }],
    undefined,
  );
}

/** The server-sent event that carries the token counts, sent last when the client asked for it. */
export function formatUsageChunk(head: AnswerHead, usage: UsageCounts): string {
  return formatEvent(head, [], usage);
}

function formatEvent(head: AnswerHead, choices: readonly unknown[], usage: UsageCounts | undefined): string {
  const object = head.kind === "chat" ? "chat.completion.chunk" : "text_completion";
  const event = { id: head.id, object, created: head.created, model: head.model, choices };
  return `data: ${JSON.stringify(usage === undefined ? event : { ...event, usage: usageJson(usage) })}\n\n`;
}

/** Ends a stream of server-sent events. */
export const STREAM_END = "data: [DONE]\n\n";
