import type { Api } from "./api.ts";
import { JsonDocument, readDocument } from "./document.ts";

/** Where an API tells how much of a prompt was cached: member of `usage`, and of the object in there. */
interface CachedTokensPlace {
  readonly path: readonly [details: string, count: string] | readonly [count: string];
  /** Whether it is told where decode tells nothing: vLLM leaves it out for zero. */
  readonly always: boolean;
  /** Members of a stream's events, beside the event itself, that hold a usage. */
  readonly holders: readonly string[];
}

const OPENAI: CachedTokensPlace = { path: ["prompt_tokens_details", "cached_tokens"], always: true, holders: [] };
const PLACES: Readonly<Record<Api, CachedTokensPlace>> = {
  chat: OPENAI,
  completions: OPENAI,
  generate: OPENAI,
  messages: { path: ["cache_read_input_tokens"], always: false, holders: ["message"] },
  responses: { path: ["input_tokens_details", "cached_tokens"], always: false, holders: ["response"] },
};

const USAGE = Buffer.from('"usage"');

/** Whether a piece of JSON may have a member `usage`: most events of a stream have none, and are not looked at further. */
export function mayHoldUsage(bytes: Buffer): boolean {
  return bytes.includes(USAGE);
}

/** How many prompt tokens an answer says were cached; undefined where it does not say. */
export function readCachedTokens(answer: JsonDocument, api: Api): number | undefined {
  const { path } = PLACES[api];
  const usage = answer.object("usage");
  const count = path.length === 1 ? usage?.value(path[0]) : usage?.object(path[0])?.value(path[1]);
  return typeof count === "number" ? count : undefined;
}

/**
 * The answer, or event of a stream, with this number of cached prompt tokens in its usage. The same bytes where it has no usage
 * or is no JSON object.
 */
export function withCachedTokens(json: Buffer, api: Api, count: number): Buffer {
  if (!mayHoldUsage(json)) return json;
  const document = readDocument(json);
  if (document === undefined) return json;
  const place = PLACES[api];
  const edits = editsOf(document, place, count);
  for (const holder of place.holders) {
    const inner = document.object(holder);
    const innerEdits = inner === undefined ? undefined : editsOf(inner, place, count);
    if (inner !== undefined && innerEdits !== undefined)
      return document.with({ ...edits, [holder]: inner.with(innerEdits) });
  }
  return edits === undefined ? json : document.with(edits);
}

function editsOf(
  document: JsonDocument,
  { path, always }: CachedTokensPlace,
  count: number,
): { readonly usage: Buffer } | undefined {
  const usage = document.object("usage");
  if (usage === undefined) return undefined;
  const [first, second] = path;
  if (second === undefined) return usage.has(first) ? { usage: usage.with({ [first]: String(count) }) } : undefined;
  const details = usage.object(first);
  if (details?.has(second) !== true && !always) return undefined;
  const edited = (details ?? new JsonDocument(Buffer.from("{}"))).with({ [second]: String(count) });
  return { usage: usage.with({ [first]: edited }) };
}
