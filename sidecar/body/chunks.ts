import { isRecord } from "../../kube/wire.ts";
import type { JsonDocument } from "./document.ts";

/** What a client wants that is answered in several chunks. */
export interface ChunkedRequest {
  /** Output tokens in all; undefined: until the model ends. */
  readonly budget: number | undefined;
  readonly isStream: boolean;
  readonly wantsUsage: boolean;
}

/** One chunk of an answer, as the engine gave it. */
export interface Chunk {
  readonly answer: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** `length`: there is more. */
  readonly finishReason: unknown;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/**
 * Reads whether a chat completion is to be answered in chunks of this many tokens: one that is longer, or of unknown length, and
 * that can be continued from its text. Tools, reasoning formats, several choices and probabilities cannot.
 */
export function chunkedRequest(body: JsonDocument, chunkTokens: number): ChunkedRequest | undefined {
  const unfit = ["tools", "functions", "response_format", "logprobs", "prompt_logprobs", "echo", "use_beam_search"];
  if (unfit.some((name) => isSet(body.value(name))) || (body.value("n") ?? 1) !== 1) return undefined;
  const budget = [body.value("max_completion_tokens"), body.value("max_tokens")].find(
    (value): value is number => typeof value === "number" && value > 0,
  );
  if (budget !== undefined && budget <= chunkTokens) return undefined;
  const options = body.value("stream_options");
  const wantsUsage = isRecord(options) && options["include_usage"] === true;
  return { budget, isStream: body.value("stream") === true, wantsUsage };
}

const isSet = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== false && !(Array.isArray(value) && value.length === 0);

/** The request of a chunk, which goes on from the text so far. */
export function chunkRequest(body: JsonDocument, text: string, tokens: number): Buffer {
  const limits = { max_tokens: String(tokens), max_completion_tokens: String(tokens), min_tokens: undefined };
  const plain = { stream: "false", stream_options: undefined };
  if (text === "") return body.with({ ...limits, ...plain });
  const messages = (body.raw("messages") ?? Buffer.from("[]")).toString("utf8").trimEnd();
  const separator = /^\[\s*\]$/.test(messages) ? "" : ",";
  const said = JSON.stringify({ role: "assistant", content: text });
  return body.with({
    ...limits,
    ...plain,
    kv_transfer_params: undefined,
    continue_final_message: "true",
    add_generation_prompt: "false",
    messages: `${messages.slice(0, -1)}${separator}${said}]`,
  });
}

/** Reads the answer of a chunk; undefined for one that cannot be continued, such as a call of a tool. */
export function readChunk(document: JsonDocument): Chunk | undefined {
  const answer: unknown = JSON.parse(document.bytes.toString("utf8"));
  if (!isRecord(answer) || !Array.isArray(answer["choices"])) return undefined;
  const choice: unknown = answer["choices"][0];
  const message = isRecord(choice) ? choice["message"] : undefined;
  if (!isRecord(choice) || !isRecord(message) || typeof message["content"] !== "string") return undefined;
  if (isSet(message["tool_calls"]) || isSet(message["reasoning_content"]) || isSet(message["reasoning"]))
    return undefined;
  const usage = isRecord(answer["usage"]) ? answer["usage"] : {};
  const count = (name: string): number => (typeof usage[name] === "number" ? usage[name] : 0);
  return {
    answer,
    text: message["content"],
    finishReason: choice["finish_reason"],
    promptTokens: count("prompt_tokens"),
    completionTokens: count("completion_tokens"),
  };
}

/** The sum of what chunks used: they all have the same prompt. */
export function totalUsage(chunks: readonly Chunk[]): Readonly<Record<string, unknown>> {
  const [first] = chunks;
  const prompt = first?.promptTokens ?? 0;
  const completion = chunks.reduce((sum, chunk) => sum + chunk.completionTokens, 0);
  const usage = first !== undefined && isRecord(first.answer["usage"]) ? first.answer["usage"] : {};
  return { ...usage, prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

/** All chunks as one answer. */
export function joinedAnswer(chunks: readonly Chunk[]): string {
  const [first, last] = [chunks[0]!.answer, chunks.at(-1)!];
  const [choice] = last.answer["choices"] as Readonly<Record<string, unknown>>[];
  const message = {
    ...(isRecord(choice?.["message"]) ? choice["message"] : {}),
    content: chunks.map(({ text }) => text).join(""),
  };
  return JSON.stringify({ ...first, choices: [{ ...choice, message }], usage: totalUsage(chunks) });
}

/** One chunk as an event of a stream; the role is told with the first. */
export function chunkEvent(chunk: Chunk, first: Chunk, isLast: boolean): string {
  const { id, created, model } = first.answer;
  const delta = { ...(chunk === first && { role: "assistant" }), content: chunk.text };
  const choices = [{ index: 0, delta, finish_reason: isLast ? chunk.finishReason : null }];
  return `data: ${JSON.stringify({ id, object: "chat.completion.chunk", created, model, choices })}\n\n`;
}

/** The last event of a stream whose client wants to know the usage. */
export function usageEvent(chunks: readonly Chunk[]): string {
  const { id, created, model } = chunks[0]!.answer;
  const event = { id, object: "chat.completion.chunk", created, model, choices: [], usage: totalUsage(chunks) };
  return `data: ${JSON.stringify(event)}\n\n`;
}
