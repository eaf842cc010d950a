import { type Edits, JsonDocument } from "./document.ts";

/** The APIs whose requests can be divided into stages. */
export type Api = "chat" | "completions" | "messages" | "responses" | "generate";

const API_BY_PATH: Readonly<Record<string, Api>> = {
  "/v1/chat/completions": "chat",
  "/v1/completions": "completions",
  "/v1/messages": "messages",
  "/v1/responses": "responses",
  "/inference/v1/generate": "generate",
};

/** The API of a request; undefined for one that goes to the engine as it is. */
export function apiOf(method: string, path: string): Api | undefined {
  return method === "POST" && Object.hasOwn(API_BY_PATH, path) ? API_BY_PATH[path] : undefined;
}

/** Where an API bounds the number of output tokens. */
interface TokenLimits {
  /** Member that holds the limits; undefined: they are members of the body itself. */
  readonly within?: string;
  readonly max: readonly string[];
  readonly min: readonly string[];
}

const LIMITS: Readonly<Record<Api, TokenLimits>> = {
  chat: { max: ["max_tokens", "max_completion_tokens"], min: ["min_tokens"] },
  completions: { max: ["max_tokens", "max_completion_tokens"], min: ["min_tokens"] },
  messages: { max: ["max_tokens"], min: [] },
  responses: { max: ["max_output_tokens"], min: [] },
  generate: { within: "sampling_params", max: ["max_tokens"], min: ["min_tokens"] },
};

/** Members that bound output in some API: one that the client sent must agree with a limit of one token. */
const ALL_LIMITS = ["max_tokens", "max_completion_tokens", "max_output_tokens", "min_tokens"];

/** Which limits are set even where the client sent none. */
export type LimitStyle =
  /** All that the API knows. */
  | "all"
  /** All that bound from above. */
  | "max"
  /** One. */
  | "one";

/**
 * What makes a request end after one token, and answer at once: prefill needs no more. A limit that the client sent becomes 1
 * in every style, since a lower bound above the upper one is refused.
 */
export function singleToken(body: JsonDocument, api: Api, style: LimitStyle): Edits {
  const { within, max, min } = LIMITS[api];
  const always = style === "all" ? [...max, ...min] : style === "max" ? max : max.slice(0, 1);
  const limitsIn = (object: JsonDocument): Edits =>
    Object.fromEntries([...always, ...ALL_LIMITS.filter((name) => object.has(name))].map((name) => [name, "1"]));
  const plain = { stream: "false", stream_options: undefined };
  if (within === undefined) return { ...limitsIn(body), ...plain };
  const inner = body.object(within) ?? new JsonDocument(Buffer.from("{}"));
  return { [within]: inner.with(limitsIn(inner)), ...plain };
}
