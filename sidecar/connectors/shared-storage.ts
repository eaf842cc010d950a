import { singleToken } from "../body/api.ts";
import { type JsonDocument, readDocument } from "../body/document.ts";
import type { SequentialConnector } from "./connector.ts";

/** Member by which a client says how much of a prompt must be cached for decode to go on by itself, as a share. */
export const HIT_THRESHOLD = "cache_hit_threshold";
/** `finish_reason` of an engine that found less than that in its cache. */
const BELOW_THRESHOLD = "cache_threshold";

/** Storage that both pods see: prefill writes the blocks, decode finds them there. Neither may refuse for a cold cache. */
export const sharedStorage: SequentialConnector = {
  order: "sequential",
  prefill: ({ body, api }) => ({ body: body.with({ ...singleToken(body, api, "max"), [HIT_THRESHOLD]: "0" }) }),
  decode: ({ body }) => ({ body: body.with({ [HIT_THRESHOLD]: "0" }) }),
};

/** The shared storage of LMCache, whose engines know no threshold. */
export const lmcache: SequentialConnector = {
  order: "sequential",
  prefill: ({ body, api }) => ({ body: body.with(singleToken(body, api, "max")) }),
  decode: ({ body }) => ({ body: body.bytes }),
};

/** Whether decode is asked first, as the client named a threshold. */
export function decodesFirst(body: JsonDocument): boolean {
  return body.has(HIT_THRESHOLD);
}

/** Whether an answer, or the first event of one, says that the cache held too little. */
export function missedThreshold(json: Buffer): boolean {
  if (!json.includes(BELOW_THRESHOLD)) return false;
  const choices: unknown = readDocument(json)?.value("choices");
  return (
    Array.isArray(choices) &&
    choices.some(
      (choice: unknown) =>
        typeof choice === "object" &&
        choice !== null &&
        "finish_reason" in choice &&
        choice.finish_reason === BELOW_THRESHOLD,
    )
  );
}
