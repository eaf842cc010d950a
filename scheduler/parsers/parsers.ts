import { type ParsedBody, type RequestApi, RequestError } from "../request/types.ts";
import {
  type Members,
  chatPrompt,
  isTokenIds,
  messagesPrompt,
  rawPrompt,
  responsesPrompt,
  textPrompts,
  tokenIds,
} from "./prompt.ts";
import {
  ScanError,
  type Span,
  hasElement,
  isArray,
  isNull,
  isObject,
  isString,
  isTrue,
  numberValue,
  scanArray,
  scanDocument,
  stringValue,
} from "./scan.ts";

/** How one API reads a body. */
interface ApiSpec {
  /** Throws `RequestError` where a required member is missing or wrong. */
  readonly check: (bytes: Buffer, members: Members) => void;
  readonly prompts: (bytes: Buffer, members: Members) => readonly Buffer[];
  /** Members that may hold token ids. */
  readonly ids?: string;
  /** Members that may limit the answer, the first valid one counts. */
  readonly limits: readonly string[];
  /** Object that holds the limits, where it is not the body itself. */
  readonly limitsIn?: string;
  readonly saltKey?: string;
}

/** What claims a path: the last segments of it, and the API that its body is of. */
interface Claim {
  readonly suffix: string;
  readonly api: RequestApi;
  /** Only as the whole path. */
  readonly exact?: boolean;
}

/** A request path's reader. */
export interface Parsers {
  /** Whether a body on this path is read as JSON. */
  claims(path: string): boolean;
  /** Reads a body. Throws `RequestError` (400). */
  parse(path: string, body: Buffer): ParsedBody;
}

/** Parser types of the default configuration, in order. */
export const DEFAULT_PARSERS: readonly string[] = [
  "openai-parser",
  "anthropic-parser",
  "vllmhttp-parser",
  "passthrough-parser",
];

const PASSTHROUGH = "passthrough-parser";

const CLAIMS: Readonly<Record<string, readonly Claim[]>> = {
  "openai-parser": [
    { suffix: "chat/completions", api: "chat" },
    { suffix: "chat/completions/render", api: "chat" },
    { suffix: "completions", api: "completions" },
    { suffix: "completions/render", api: "completions" },
    { suffix: "embeddings", api: "embeddings" },
    { suffix: "responses", api: "responses" },
    { suffix: "conversations", api: "conversations" },
    { suffix: "images/generations", api: "images" },
  ],
  "anthropic-parser": [
    { suffix: "messages", api: "messages" },
    { suffix: "messages/count_tokens", api: "messages" },
  ],
  "vllmhttp-parser": [{ suffix: "inference/v1/generate", api: "generate" }],
  "sglanghttp-parser": [{ suffix: "/generate", api: "generate", exact: true }],
};

/** Parser types that this scheduler implements. */
export const PARSER_TYPES: readonly string[] = [...Object.keys(CLAIMS), PASSTHROUGH];

const bad = (message: string): RequestError => new RequestError("BadRequest", message);

/**
 * The parsers of the given types: the longest claimed suffix wins. Without `passthrough-parser` a body on an unclaimed
 * path is refused. Types that `PARSER_TYPES` does not list are ignored.
 */
export function createParsers(types: readonly string[] = DEFAULT_PARSERS): Parsers {
  const claims = types.flatMap((type) => CLAIMS[type] ?? []).sort((a, b) => b.suffix.length - a.suffix.length);
  const passthrough = types.includes(PASSTHROUGH);
  const find = (path: string): RequestApi | undefined => {
    const clean = path.replace(/[\s/]+$/, "");
    return claims.find((claim) => (claim.exact ? clean === claim.suffix : clean.endsWith(claim.suffix)))?.api;
  };
  return {
    claims: (path) => find(path) !== undefined,
    parse: (path, body) => {
      const api = find(path);
      if (api !== undefined) return new JsonBody(api, body);
      if (passthrough) return new RawBody(body);
      throw bad(`no parser registered matching path suffix for: ${path}`);
    },
  };
}

/** A body that is passed on unread. */
class RawBody implements ParsedBody {
  readonly api = "raw";
  readonly model = "";
  readonly stream = false;
  readonly maxOutputTokens = undefined;
  readonly cacheSalt = "";
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
  get sizeBytes(): number {
    return this.bytes.length;
  }
  promptBytes(): readonly Buffer[] {
    return [];
  }
  promptTokenIds(): undefined {
    return undefined;
  }
  json(): undefined {
    return undefined;
  }
}

/** A JSON body, of which only the places of its members are known. */
class JsonBody implements ParsedBody {
  readonly api: RequestApi;
  readonly bytes: Buffer;
  readonly model: string;
  readonly stream: boolean;
  readonly maxOutputTokens: number | undefined;
  readonly cacheSalt: string;
  readonly #members: Members;
  #prompts: readonly Buffer[] | undefined;

  constructor(api: RequestApi, bytes: Buffer) {
    const spec = specOf(api);
    const members = scanMembers(bytes);
    this.api = api;
    this.bytes = bytes;
    this.#members = members;
    spec.check(bytes, members);
    this.model = textMember(bytes, members, "model");
    this.stream = isTrue(bytes, members.get("stream"));
    this.maxOutputTokens = outputLimit(bytes, members, spec);
    this.cacheSalt = textMember(bytes, members, "cache_salt") || textMember(bytes, members, spec.saltKey ?? "");
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  promptBytes(): readonly Buffer[] {
    this.#prompts ??= guarded(() => specOf(this.api).prompts(this.bytes, this.#members));
    return this.#prompts;
  }

  promptTokenIds(): readonly Uint32Array[] | undefined {
    const span = idSpan(this.bytes, this.#members, specOf(this.api).ids);
    if (span === undefined) return undefined;
    const ids = guarded(() => tokenIds(this.bytes, span));
    return ids instanceof Uint32Array ? [ids] : undefined;
  }

  json(): unknown {
    try {
      return JSON.parse(this.bytes.toString("utf8"));
    } catch (error) {
      throw bad(`error unmarshaling request bodyMap: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Turns what a deeper scan finds wrong into the refusal of the request. */
function guarded<T>(scan: () => T): T {
  try {
    return scan();
  } catch (error) {
    if (error instanceof ScanError) throw bad(`error unmarshaling request bodyMap: ${error.message}`);
    throw error;
  }
}

function scanMembers(bytes: Buffer): Members {
  return guarded(() => scanDocument(bytes));
}

function textMember(bytes: Buffer, members: Members, key: string): string {
  const span = members.get(key);
  return isString(bytes, span) ? stringValue(bytes, span) : "";
}

function outputLimit(bytes: Buffer, members: Members, spec: ApiSpec): number | undefined {
  const holder = spec.limitsIn === undefined ? members : nestedMembers(bytes, members.get(spec.limitsIn));
  for (const key of spec.limits) {
    const limit = numberValue(bytes, holder.get(key));
    if (limit !== undefined && Number.isInteger(limit) && limit >= 0) return limit;
  }
  return undefined;
}

function nestedMembers(bytes: Buffer, span: Span | undefined): Members {
  if (!isObject(bytes, span)) return new Map();
  const inner = scanMembers(bytes.subarray(span.start, span.end));
  return new Map(
    [...inner].map(([key, value]) => [key, { start: value.start + span.start, end: value.end + span.start }]),
  );
}

const idSpan = (bytes: Buffer, members: Members, key: string | undefined): Span | undefined => {
  const span = key === undefined ? undefined : members.get(key);
  return isTokenIds(bytes, span) ? span : undefined;
};

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
  return (bytes: Buffer, members: Members): void => {
    if (!holds(bytes, members.get(key))) throw bad(message);
  };
}

/** Prompts that are text; none where the member holds token ids. */
const texts =
  (key: string) =>
  (bytes: Buffer, members: Members): readonly Buffer[] => {
    const span = members.get(key);
    return span === undefined || isTokenIds(bytes, span) ? [] : textPrompts(bytes, span);
  };

function checkGenerate(bytes: Buffer, members: Members): void {
  const span = members.get("token_ids") ?? members.get("input_ids");
  if (!isFilledArray(bytes, span) || span === undefined)
    throw bad("invalid generate request: must have non-empty token_ids field");
  const ids = guarded(() => tokenIds(bytes, span));
  if (!(ids instanceof Uint32Array)) throw bad(`invalid generate request: token_ids[${ids.badIndex}]: invalid value`);
}

const SPECS: Readonly<Record<Exclude<RequestApi, "raw">, ApiSpec>> = {
  chat: {
    check: demand("messages", "invalid chat completions request: must have valid messages field", isFilledArray),
    prompts: (bytes, members) => [chatPrompt(bytes, members)],
    limits: ["max_completion_tokens", "max_tokens"],
  },
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
  responses: {
    check: demand(
      "input",
      "invalid responses request: must have input field",
      (bytes, span) => span !== undefined && !isNull(bytes, span),
    ),
    prompts: (bytes, members) => [responsesPrompt(bytes, members)],
    limits: ["max_output_tokens"],
  },
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
  messages: {
    check: demand("messages", "invalid messages request: must have at least one message", isFilledArray),
    prompts: (bytes, members) => [messagesPrompt(bytes, members)],
    limits: ["max_tokens"],
  },
  generate: {
    check: checkGenerate,
    prompts: () => [],
    ids: "token_ids",
    limits: ["max_tokens", "max_new_tokens"],
    limitsIn: "sampling_params",
    saltKey: "extra_key",
  },
};

const specOf = (api: RequestApi): ApiSpec => SPECS[api === "raw" ? "completions" : api];

/**
 * The JSON object with its `model` replaced, or added where it has none; all other bytes stay. Throws `RequestError` where
 * the body is no JSON object.
 */
export function replaceModel(bytes: Buffer, model: string): Buffer {
  const span = scanMembers(bytes).get("model");
  const value = JSON.stringify(model);
  if (span !== undefined)
    return Buffer.concat([bytes.subarray(0, span.start), Buffer.from(value), bytes.subarray(span.end)]);
  const open = bytes.indexOf("{") + 1;
  const isEmpty = scanMembers(bytes).size === 0;
  const added = Buffer.from(`"model":${value}${isEmpty ? "" : ","}`);
  return Buffer.concat([bytes.subarray(0, open), added, bytes.subarray(open)]);
}
