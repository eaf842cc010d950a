/** Tokens as a vLLM server renders them: `/v1/completions/render` and `/v1/chat/completions/render`. */
import { isRecord } from "../../framework/parameters.ts";
import type { ParsedBody } from "../../request/types.ts";

/** A vLLM server with a tokenizer. */
export interface RenderServer {
  /** Without a final slash. */
  readonly url: string;
  readonly timeoutMs: number;
  readonly mediaTimeoutMs: number;
  /** Model to name in the request; empty: the one that it has. */
  readonly modelName: string;
}

/** Token ids, one list for each prompt. */
export interface RenderedPrompt {
  readonly prompts: readonly Uint32Array[];
}

const PATHS: Readonly<Record<string, string>> = {
  completions: "/v1/completions/render",
  chat: "/v1/chat/completions/render",
};
const MAX_ERROR_CHARACTERS = 1024;

/** Asks for the tokens of a request. Rejects for bodies that cannot be rendered, failures and odd answers. */
export async function renderPrompt(
  server: RenderServer,
  body: ParsedBody,
  signal: AbortSignal,
  fetch: typeof globalThis.fetch,
): Promise<RenderedPrompt> {
  const path = PATHS[body.api];
  const json = body.json();
  if (path === undefined || !isRecord(json)) throw new Error(`a ${body.api} request cannot be rendered`);
  const limit = AbortSignal.timeout(hasMedia(json) ? server.mediaTimeoutMs : server.timeoutMs);
  const response = await fetch(server.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(server.modelName === "" ? json : { ...json, model: server.modelName }),
    signal: AbortSignal.any([signal, limit]),
  });
  if (!response.ok) {
    const text = (await response.text()).slice(0, MAX_ERROR_CHARACTERS);
    throw new Error(`${path} answered ${response.status}: ${text}`);
  }
  const answer: unknown = await response.json();
  return { prompts: (Array.isArray(answer) ? answer : [answer]).map(tokenIds) };
}

const hasMedia = ({ messages }: Readonly<Record<string, unknown>>): boolean =>
  Array.isArray(messages) && messages.some((message) => isRecord(message) && Array.isArray(message["content"]));

function tokenIds(item: unknown): Uint32Array {
  const ids = isRecord(item) ? item["token_ids"] : undefined;
  if (Array.isArray(ids) && ids.every((id) => Number.isInteger(id))) return Uint32Array.from(ids);
  throw new Error("answer without token_ids");
}
