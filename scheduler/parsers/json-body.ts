import { isObject, isString, isTrue, numberValue, scanDocument } from "../../json/scan.ts";
import type { MediaEstimate, MediaPart, ParsedBody } from "../request/types.ts";
import { API_SPECS, type ApiSpec, badRequest, guarded, type JsonApi } from "./apis.ts";
import { isTokenIds, mediaOf, type Members, type Message, readMessages, tokenIds } from "./prompt.ts";
import { stringValue } from "./string-value.ts";

const NO_MESSAGES: readonly Message[] = [];

/** A JSON body, of which only the places of its members are known. */
export class JsonBody implements ParsedBody {
  readonly api: JsonApi;
  readonly bytes: Buffer;
  readonly model: string;
  readonly stream: boolean;
  readonly maxOutputTokens: number | undefined;
  readonly cacheSalt: string;
  readonly #json: Buffer;
  readonly #members: Members;
  readonly #messages: readonly Message[];
  #prompts: readonly Buffer[] | undefined;
  /** What `#prompts` was made with. */
  #estimate: MediaEstimate | undefined;

  /** Reads `json`; `bytes` is the whole body where that wraps it. Throws `RequestError` (400). */
  constructor(api: JsonApi, json: Buffer, bytes: Buffer = json) {
    const spec: ApiSpec = API_SPECS[api];
    const members = guarded(() => scanDocument(json), spec.noJson);
    this.api = api;
    this.bytes = bytes;
    this.#json = json;
    this.#members = members;
    this.#messages = spec.check(json, members) ?? NO_MESSAGES;
    this.model = textMember(json, members, "model");
    this.stream = isTrue(json, members.get("stream"));
    this.maxOutputTokens = outputLimit(json, members, spec);
    this.cacheSalt = textMember(json, members, "cache_salt") || textMember(json, members, spec.saltKey ?? "");
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  promptBytes(estimate: MediaEstimate | undefined = this.#estimate): readonly Buffer[] {
    if (this.#prompts !== undefined && estimate === this.#estimate) return this.#prompts;
    const spec: ApiSpec = API_SPECS[this.api];
    this.#prompts = guarded(() => spec.prompts(this.#json, this.#members, this.#messages, estimate));
    this.#estimate = estimate;
    return this.#prompts;
  }

  media(): readonly MediaPart[] {
    return guarded(() => mediaOf(this.#json, this.#conversation()));
  }

  /** The messages, under whatever name the API has them. */
  #conversation(): readonly Message[] {
    if (this.#messages.length > 0) return this.#messages;
    return readMessages(this.#json, this.#members.get("input") ?? this.#members.get("items")) ?? NO_MESSAGES;
  }

  promptTokenIds(): readonly Uint32Array[] | undefined {
    const { ids: key }: ApiSpec = API_SPECS[this.api];
    const span = key === undefined ? undefined : this.#members.get(key);
    if (span === undefined || !isTokenIds(this.#json, span)) return undefined;
    const ids = guarded(() => tokenIds(this.#json, span));
    return ids instanceof Uint32Array ? [ids] : undefined;
  }

  json(): unknown {
    try {
      return JSON.parse(this.#json.toString("utf8"));
    } catch (error) {
      throw badRequest(`error unmarshaling request bodyMap: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function textMember(bytes: Buffer, members: Members, key: string): string {
  const span = members.get(key);
  return isString(bytes, span) ? stringValue(bytes, span) : "";
}

/** The first member that is a whole number of at least 0. */
function outputLimit(bytes: Buffer, members: Members, spec: ApiSpec): number | undefined {
  const holder = spec.limitsIn === undefined ? members : nestedMembers(bytes, members, spec.limitsIn);
  for (const key of spec.limits) {
    const limit = numberValue(bytes, holder.get(key));
    if (limit !== undefined && Number.isInteger(limit) && limit >= 0) return limit;
  }
  return undefined;
}

function nestedMembers(bytes: Buffer, members: Members, key: string): Members {
  const span = members.get(key);
  if (!isObject(bytes, span)) return new Map();
  const inner = guarded(() => scanDocument(bytes.subarray(span.start, span.end)));
  return new Map(
    [...inner].map(([name, value]) => [name, { start: value.start + span.start, end: value.end + span.start }]),
  );
}

/**
 * The JSON object with its `model` replaced, or added where it has none; all other bytes stay. Throws `RequestError` where
 * the body is no JSON object.
 */
export function replaceModel(bytes: Buffer, model: string): Buffer {
  const span = guarded(() => scanDocument(bytes)).get("model");
  const value = JSON.stringify(model);
  if (span !== undefined)
    return Buffer.concat([bytes.subarray(0, span.start), Buffer.from(value), bytes.subarray(span.end)]);
  const open = bytes.indexOf("{") + 1;
  const isEmpty = guarded(() => scanDocument(bytes)).size === 0;
  const added = Buffer.from(`"model":${value}${isEmpty ? "" : ","}`);
  return Buffer.concat([bytes.subarray(0, open), added, bytes.subarray(open)]);
}
