import { ScanError, type Span, hasElement, isArray, isNull, isString, scanArray } from "../../json/scan.ts";
import { type MediaEstimate, type RequestApi, RequestError } from "../request/types.ts";
import {
  type Members,
  type Message,
  chatPrompt,
  isTokenIds,
  messagesPrompt,
  rawPrompt,
  readMessages,
  responsesPrompt,
  textPrompts,
  tokenIds,
} from "./prompt.ts";

/** How one API reads a JSON body. */
export interface ApiSpec {
  /** Throws `RequestError` where a required member is missing or wrong. Returns the messages of a conversation. */
  readonly check: (bytes: Buffer, members: Members) => readonly Message[] | undefined;
  /** Prompts that are text; none where token ids are given. */
  readonly prompts: (
    bytes: Buffer,
    members: Members,
    messages: readonly Message[],
    estimate: MediaEstimate | undefined,
  ) => readonly Buffer[];
  /** Member that may hold token ids. */
  readonly ids?: string;
  /** Members that may limit the answer, the first valid one counts. */
  readonly limits: readonly string[];
  /** Object that holds the limits, where it is not the body itself. */
  readonly limitsIn?: string;
  /** Member that isolates cached prefixes, besides `cache_salt`. */
  readonly saltKey?: string;
  /** Begins the message about a body that is no JSON object. */
  readonly noJson?: string;
}

/** The refusal of a request whose body cannot be used. */
export const badRequest = (message: string): RequestError => new RequestError("BadRequest", message);

const NO_JSON = "error unmarshaling request bodyMap";
const NO_JSON_BODY = "error unmarshaling request body";

/** Turns what a scan finds wrong into the refusal of the request. */
export function guarded<T>(scan: () => T, noJson: string = NO_JSON): T {
  try {
    return scan();
  } catch (error) {
    if (error instanceof ScanError) throw badRequest(`${noJson}: ${error.message}`);
    throw error;
  }
}

const isFilledArray = (bytes: Buffer, span: Span | undefined): boolean =>
  isArray(bytes, span) && hasElement(bytes, span);

/** A non-empty string, an array of strings, or an array of token ids. */
function isPrompt(bytes: Buffer, span: Span | undefined): boolean {
  if (isString(bytes, span)) return span.end - span.start > 2;
  if (!isFilledArray(bytes, span) || span === undefined) return false;
  if (isTokenIds(bytes, span)) return guarded(() => tokenIds(bytes, span)) instanceof Uint32Array;
  let onlyStrings = true;
  guarded(() => scanArray(bytes, span.start, (element) => void (onlyStrings &&= isString(bytes, element))));
  return onlyStrings;
}

function demand(key: string, message: string, holds: (bytes: Buffer, span: Span | undefined) => boolean) {
  return (bytes: Buffer, members: Members): undefined => {
    if (!holds(bytes, members.get(key))) throw badRequest(message);
  };
}

/** Demands messages; `damaged` is told where there are some that cannot be read. */
function demandMessages(none: string, damaged: string, noJson: string = NO_JSON) {
  return (bytes: Buffer, members: Members): readonly Message[] => {
    const span = members.get("messages");
    if (!isFilledArray(bytes, span)) throw badRequest(none);
    const messages = guarded(() => readMessages(bytes, span), noJson);
    if (messages === undefined) throw badRequest(damaged);
    return messages;
  };
}

/** Prompts that are text; none where the member holds token ids. */
const texts =
  (key: string) =>
  (bytes: Buffer, members: Members): readonly Buffer[] => {
    const span = members.get(key);
    return span === undefined || isTokenIds(bytes, span) ? [] : textPrompts(bytes, span);
  };

/** Demands token ids, and tells the first one that is none. */
const demandIds =
  (key: string) =>
  (bytes: Buffer, members: Members): undefined => {
    const span = members.get(key);
    if (!isFilledArray(bytes, span) || span === undefined)
      throw badRequest(`invalid generate request: must have non-empty ${key} field`);
    const ids = guarded(() => tokenIds(bytes, span));
    if (!(ids instanceof Uint32Array))
      throw badRequest(`invalid generate request: ${key}[${ids.badIndex}]: invalid value`);
  };

const NO_MESSAGES = "invalid chat completions request: must have valid messages field";

const CHAT: ApiSpec = {
  check: demandMessages(NO_MESSAGES, NO_MESSAGES),
  prompts: (bytes, members, messages, estimate) => [chatPrompt(bytes, members, messages, estimate)],
  limits: ["max_completion_tokens", "max_tokens"],
};

const RESPONSES: ApiSpec = {
  check: demand(
    "input",
    "invalid responses request: must have input field",
    (bytes, span) => span !== undefined && !isNull(bytes, span),
  ),
  prompts: (bytes, members) => [responsesPrompt(bytes, members)],
  limits: ["max_output_tokens"],
};

const MESSAGES: ApiSpec = {
  check: demandMessages(
    "invalid messages request: must have at least one message",
    "error parsing messages request: content must be text or an array of blocks",
    NO_JSON_BODY,
  ),
  prompts: (bytes, members, messages, estimate) => [messagesPrompt(bytes, members, messages, estimate)],
  limits: ["max_tokens"],
  noJson: NO_JSON_BODY,
};

/** Specs of the APIs whose bodies are JSON. */
export const API_SPECS = {
  chat: CHAT,
  completions: {
    check: demand("prompt", "invalid completions request: must have prompt field", isPrompt),
    prompts: texts("prompt"),
    ids: "prompt",
    limits: ["max_tokens"],
  },
  embeddings: {
    check: demand("input", "invalid embeddings request: must have input field", isPrompt),
    prompts: (bytes, members) => (isTokenIds(bytes, members.get("input")) ? [] : [rawPrompt(bytes, members, "input")]),
    ids: "input",
    limits: [],
  },
  responses: RESPONSES,
  conversations: {
    check: demand("items", "invalid conversations request: must have items field", isFilledArray),
    prompts: (bytes, members) => [rawPrompt(bytes, members, "items")],
    limits: [],
  },
  images: {
    check: demand(
      "prompt",
      "invalid images generations request: must have prompt field",
      (bytes, span) => isString(bytes, span) && span.end - span.start > 2,
    ),
    prompts: () => [],
    limits: [],
  },
  messages: MESSAGES,
  "count-tokens": MESSAGES,
  generate: {
    check: demandIds("token_ids"),
    prompts: () => [],
    ids: "token_ids",
    limits: ["max_tokens"],
    limitsIn: "sampling_params",
    noJson: NO_JSON_BODY,
  },
  sglang: {
    check: demandIds("input_ids"),
    prompts: () => [],
    ids: "input_ids",
    limits: ["max_new_tokens"],
    limitsIn: "sampling_params",
    saltKey: "extra_key",
    noJson: NO_JSON_BODY,
  },
  "vertex-chat": CHAT,
  "vertex-responses": RESPONSES,
} as const satisfies Partial<Readonly<Record<RequestApi, ApiSpec>>>;

/** An API whose bodies are JSON. */
export type JsonApi = keyof typeof API_SPECS;
