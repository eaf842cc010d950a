import type { IncomingRequest, ParsedBody } from "../../scheduler/request/types.ts";

/** The parsed body of a completion. */
export function completionBody(prompt: string, parts: Partial<ParsedBody> = {}): ParsedBody {
  const bytes = Buffer.from(prompt);
  return {
    api: "completions",
    model: "m",
    stream: false,
    maxOutputTokens: undefined,
    cacheSalt: "",
    sizeBytes: bytes.length,
    bytes,
    promptBytes: () => [bytes],
    media: () => [],
    promptTokenIds: () => undefined,
    json: () => ({}),
    ...parts,
  };
}

/** A completion as the director gets it, at 0 ms. */
export function incomingRequest(prompt: string, parts: Partial<IncomingRequest> = {}): IncomingRequest {
  return {
    id: "r",
    path: "/v1/completions",
    headers: new Map(),
    body: completionBody(prompt),
    subset: undefined,
    receivedAtMs: 0,
    signal: new AbortController().signal,
    ...parts,
  };
}
