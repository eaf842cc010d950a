import type { IncomingMessage, ServerResponse } from "node:http";
import type { Span } from "../telemetry/tracing.ts";
import { endToEnd, type RawHeaders, withHeaders } from "./http/headers.ts";
import type { Target } from "./http/upstream.ts";
import { CONSUMED_HEADERS } from "./wire.ts";

/** What became of a request. */
export type Outcome =
  /** Another pod computed the prompt. */
  | "prefill-decode"
  /** The decode pod did all, because prefill failed. */
  | "prefill-fallback"
  /** The engine did all, as nobody else was named. */
  | "direct"
  /** Answered with what a stage refused it with. */
  | "stage-refused"
  /** Refused here. */
  | "refused"
  /** A stage could not be reached. */
  | "unreachable"
  | "cancelled"
  | "failed";

/** What is told of a request when it is over. Times in milliseconds. */
export interface Account {
  outcome: Outcome;
  requestId?: string;
  prefill?: string;
  prefillStatus?: number;
  prefillAttempts?: number;
  prefillMs?: number;
  /** Until the headers of the answer. */
  decodeMs?: number;
  encoders?: number;
  kvSource?: string;
  error?: unknown;
}

/** A request under way. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborts when the client goes before the answer is whole. */
  readonly signal: AbortSignal;
  /** Headers that go on to engines. */
  readonly headers: RawHeaders;
  /** The engine that answers. */
  readonly engine: Target;
  readonly account: Account;
  readonly span: Span | undefined;
}

/** The headers of a request that go on: without those that end at a proxy, at this one, or that it answers itself. */
export function forwardedHeaders(request: IncomingMessage, span: Span | undefined): RawHeaders {
  const headers = endToEnd(request.rawHeaders);
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!.toLowerCase();
    if (!CONSUMED_HEADERS.has(name) && name !== "expect") kept.push(headers[index]!, headers[index + 1]!);
  }
  return span === undefined ? kept : withHeaders(kept, Object.fromEntries(span.headers));
}
