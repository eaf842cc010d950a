import type { IncomingMessage } from "node:http";
import type { Api } from "../body/api.ts";
import { mayHoldUsage, withCachedTokens } from "../body/cached-tokens.ts";
import { EventStreamEditor } from "../body/event-stream.ts";
import { WholeBodyEditor } from "../body/whole-body.ts";
import type { StageRequest } from "../connectors/connector.ts";
import type { Exchange } from "../exchange.ts";
import { headerValues, withHeaders } from "../http/headers.ts";
import { relay } from "../http/relay.ts";
import type { UpstreamCall, Upstreams } from "../http/upstream.ts";
import { CLIENT_REQUEST_ID, REQUEST_ID } from "../wire.ts";
import { askEngine } from "./forward.ts";

/** Bytes of an answer that is held to be changed; a larger one goes on as it is. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** The request of a stage: the client's headers, a body that is read here, and one request id for all stages. */
export function stageCall(
  { request, headers, signal }: Exchange,
  { body, headers: own = {} }: StageRequest,
  requestId: string | undefined,
): UpstreamCall {
  const [given] = headerValues(headers, REQUEST_ID);
  const knowsClient = headerValues(headers, CLIENT_REQUEST_ID).length > 0;
  const ids = {
    [REQUEST_ID]: requestId,
    ...(given !== undefined && !knowsClient && { [CLIENT_REQUEST_ID]: given }),
  };
  const changed = withHeaders(headers, {
    "content-length": String(body.length),
    // What is read on its way must be readable.
    "accept-encoding": "identity",
    ...(requestId !== undefined && ids),
    ...own,
  });
  return { method: request.method ?? "POST", path: request.url ?? "/", headers: changed, body, signal };
}

/** What decode's answer is changed by. */
export interface DecodeOptions {
  readonly api: Api;
  readonly requestId: string | undefined;
  /** Prompt tokens that another pod had cached. */
  readonly cachedTokens?: number | undefined;
}

/** Has the engine answer, and hands the answer to the client. Rejects with `RequestError` where the engine cannot be reached. */
export async function decode(
  upstreams: Upstreams,
  exchange: Exchange,
  stage: StageRequest,
  options: DecodeOptions,
): Promise<void> {
  const startedAt = performance.now();
  const part = exchange.span?.child("decode");
  try {
    const answer = await askEngine(upstreams, exchange, stageCall(exchange, stage, options.requestId));
    exchange.account.decodeMs = performance.now() - startedAt;
    await relayDecoded(exchange, answer, options);
  } catch (error) {
    part?.fail(error);
    throw error;
  } finally {
    part?.end();
  }
}

/** Hands an answer of the engine to the client. */
export async function relayDecoded(
  { response, headers }: Exchange,
  answer: IncomingMessage,
  { api, cachedTokens }: DecodeOptions,
): Promise<void> {
  // Engines answer with the id they were asked under; the client knows its own.
  const [given] = headerValues(headers, REQUEST_ID);
  const isEchoed = answer.headers[REQUEST_ID] !== undefined && given !== undefined;
  const changes = isEchoed ? { [REQUEST_ID]: given } : {};
  const isGood = (answer.statusCode ?? 0) < 300;
  if (cachedTokens === undefined || !isGood) return await relay(answer, response, { headers: changes });
  const edit = (json: Buffer): Buffer => withCachedTokens(json, api, cachedTokens);
  const isStream = (answer.headers["content-type"] ?? "").includes("text/event-stream");
  const editor = isStream ? new EventStreamEditor(mayHoldUsage, edit) : new WholeBodyEditor(MAX_ANSWER_BYTES, edit);
  await relay(answer, response, { headers: { ...changes, "content-length": undefined }, editor });
}
