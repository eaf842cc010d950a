import type { ParsedBody, RequestApi } from "../request/types.ts";
import { badRequest } from "./apis.ts";
import { VllmGrpcBody, vertexJson } from "./grpc-body.ts";
import { JsonBody } from "./json-body.ts";

/** What claims a path: its end, and the API that its body is of. */
interface Claim {
  readonly suffix: string;
  readonly api: RequestApi;
  /** Only as the whole path. */
  readonly exact?: boolean;
}

/** A request path's reader. */
export interface Parsers {
  /** Whether a parser reads bodies on this path. */
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
const VLLM_ENGINE = "vllm.grpc.engine.VllmEngine/";
const VERTEX = "PredictionService/";

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
    { suffix: "messages/count_tokens", api: "count-tokens" },
  ],
  "vllmhttp-parser": [{ suffix: "inference/v1/generate", api: "generate" }],
  "sglanghttp-parser": [{ suffix: "/generate", api: "sglang", exact: true }],
  "vllmgrpc-parser": [
    { suffix: `${VLLM_ENGINE}Generate`, api: "vllm-grpc" },
    { suffix: `${VLLM_ENGINE}Embed`, api: "vllm-grpc-embed" },
  ],
  "vertexai-parser": [
    { suffix: `${VERTEX}ChatCompletions`, api: "vertex-chat" },
    { suffix: `${VERTEX}StreamRawPredict`, api: "vertex-responses" },
    { suffix: `${VERTEX}RawPredict`, api: "vertex-responses" },
  ],
};

/** Parser types that this scheduler implements. */
export const PARSER_TYPES: readonly string[] = [...Object.keys(CLAIMS), PASSTHROUGH];

/**
 * The types of a configured list that take effect: each once, and none after `passthrough-parser`, which takes all that the
 * earlier ones leave. What is dropped is told to `warn`.
 */
function effective(types: readonly string[], warn: (text: string) => void): readonly string[] {
  const last = types.indexOf(PASSTHROUGH);
  const used = last < 0 ? types : types.slice(0, last + 1);
  for (const type of last < 0 ? [] : types.slice(last + 1))
    warn(`parser ${type} stands after ${PASSTHROUGH}, which takes every path: it is never used`);
  return used.filter((type, index) => {
    const isFirst = used.indexOf(type) === index;
    if (!isFirst) warn(`parser ${type} is listed twice: the second is not used`);
    return isFirst;
  });
}

/**
 * The parsers of the given types: the longest claimed suffix wins. Without `passthrough-parser` a body on an unclaimed
 * path is refused. Types that `PARSER_TYPES` does not list are ignored.
 */
export function createParsers(
  types: readonly string[] = DEFAULT_PARSERS,
  warn: (text: string) => void = () => undefined,
): Parsers {
  const used = effective(types, warn);
  const claims = used.flatMap((type) => CLAIMS[type] ?? []).sort((a, b) => b.suffix.length - a.suffix.length);
  const passthrough = used.includes(PASSTHROUGH);
  const engine = used.includes("vllmgrpc-parser");
  const find = (path: string): RequestApi | undefined => {
    const clean = trimmed(path);
    for (const { suffix, api, exact } of claims)
      if (exact === true ? clean === suffix : clean.endsWith(suffix)) return api;
    return engine && clean.includes(VLLM_ENGINE) ? "vllm-grpc-other" : undefined;
  };
  return {
    claims: (path) => find(path) !== undefined,
    parse: (path, body) => {
      const api = find(path) ?? (passthrough ? "raw" : undefined);
      if (api === undefined) throw badRequest(`no parser registered matching path suffix for: ${path}`);
      return parse(api, body);
    },
  };
}

/** The path without slashes and blanks at its end. */
function trimmed(path: string): string {
  let end = path.length;
  while (end > 0 && "/ \t\r\n".includes(path[end - 1]!)) end--;
  return end === path.length ? path : path.slice(0, end);
}

function parse(api: RequestApi, body: Buffer): ParsedBody {
  if (api === "raw" || api === "vllm-grpc-other") return new RawBody(api, body);
  if (api === "vllm-grpc" || api === "vllm-grpc-embed") return new VllmGrpcBody(api, body);
  if (api === "vertex-chat" || api === "vertex-responses") return new JsonBody(api, vertexJson(body), body);
  return new JsonBody(api, body);
}

/** A body that is passed on unread. */
class RawBody implements ParsedBody {
  readonly api: RequestApi;
  readonly model = "";
  readonly stream = false;
  readonly maxOutputTokens = undefined;
  readonly cacheSalt = "";
  readonly bytes: Buffer;

  constructor(api: RequestApi, bytes: Buffer) {
    this.api = api;
    this.bytes = bytes;
  }
  get sizeBytes(): number {
    return this.bytes.length;
  }
  promptBytes(): readonly Buffer[] {
    return [];
  }
  media(): readonly [] {
    return [];
  }

  promptTokenIds(): undefined {
    return undefined;
  }
  json(): undefined {
    return undefined;
  }
}

/** The body of a request whose body nobody sees. */
export const NO_BODY: ParsedBody = new RawBody("raw", Buffer.alloc(0));
