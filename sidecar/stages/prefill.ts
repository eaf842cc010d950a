import { setTimeout as sleep } from "node:timers/promises";
import { type JsonDocument, readDocument } from "../body/document.ts";
import type { StageRequest } from "../connectors/connector.ts";
import type { Exchange } from "../exchange.ts";
import { type RawHeaders, endToEnd, without } from "../http/headers.ts";
import { readBody } from "../http/read-body.ts";
import type { Target, Upstreams } from "../http/upstream.ts";
import { stageCall } from "./decode.ts";

/** An answer of prefill, whole. */
export interface PrefillAnswer {
  /** 502 where there was none. */
  readonly status: number;
  readonly headers: RawHeaders;
  readonly body: Buffer;
  /** Why there was none. */
  readonly error?: unknown;
}

/** What prefill led to. */
export type PrefillResult =
  | { readonly kind: "done"; readonly answer: JsonDocument }
  /** The pod could not do it, though another one might. */
  | { readonly kind: "failed"; readonly answer: PrefillAnswer }
  /** The request itself was refused, as the decode pod would refuse it. */
  | { readonly kind: "refused"; readonly answer: PrefillAnswer };

/** How prefill is tried again. */
export interface RetryPolicy {
  readonly maxRetries: number;
  readonly backoffMs: number;
}

const NO_RETRY: RetryPolicy = { maxRetries: 0, backoffMs: 0 };
/** Statuses of a server that is overloaded or gone for the moment. */
const TRANSIENT: ReadonlySet<number> = new Set([502, 503, 504]);
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Has another pod compute the prompt. Tries the same pod again while it seems overloaded. Rejects only where the client has gone.
 */
export async function prefill(
  upstreams: Upstreams,
  exchange: Exchange,
  {
    target,
    stage,
    requestId,
    retry = NO_RETRY,
    signal = exchange.signal,
  }: {
    readonly target: Target;
    readonly stage: StageRequest;
    readonly requestId: string;
    readonly retry?: RetryPolicy;
    readonly signal?: AbortSignal;
  },
): Promise<PrefillResult> {
  const { account } = exchange;
  const part = exchange.span?.child("prefill", { target: `${target.host}:${target.port}` });
  const startedAt = performance.now();
  const call = { ...stageCall(exchange, stage, requestId), signal };
  try {
    for (let attempt = 1; ; attempt++) {
      const answer = await ask(upstreams, target, call);
      account.prefillAttempts = attempt;
      account.prefillStatus = answer.status;
      account.prefillMs = performance.now() - startedAt;
      if (TRANSIENT.has(answer.status) && attempt <= retry.maxRetries) {
        await sleep(retry.backoffMs, undefined, { signal });
        continue;
      }
      part?.set({ status: answer.status, attempts: attempt });
      return resultOf(answer);
    }
  } catch (error) {
    part?.fail(error);
    throw error;
  } finally {
    part?.end();
  }
}

async function ask(
  upstreams: Upstreams,
  target: Target,
  call: Parameters<Upstreams["send"]>[1],
): Promise<PrefillAnswer> {
  try {
    const answer = await upstreams.send(target, call);
    const body = await readBody(answer, MAX_ANSWER_BYTES);
    const headers = without(endToEnd(answer.rawHeaders), (name) => name === "content-length" || name === "trailer");
    return { status: answer.statusCode ?? 502, headers, body };
  } catch (error) {
    if (call.signal.aborted) throw error;
    return { status: 502, headers: [], body: Buffer.alloc(0), error };
  }
}

/** What an answer means. An answer that says yes but is no JSON object is as good as none. */
export function resultOf(answer: PrefillAnswer): PrefillResult {
  if (answer.status >= 300) return { kind: answer.status >= 500 ? "failed" : "refused", answer };
  const document = readDocument(answer.body);
  if (document !== undefined) return { kind: "done", answer: document };
  return { kind: "failed", answer: { ...answer, status: 502, error: new Error("prefill answered no JSON object") } };
}
