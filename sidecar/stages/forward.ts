import type { IncomingMessage } from "node:http";
import type { Exchange } from "../exchange.ts";
import { RequestError } from "../http/errors.ts";
import { relay } from "../http/relay.ts";
import type { UpstreamCall, Upstreams } from "../http/upstream.ts";

/** Hands a request to the engine and its answer back, both as they come and untouched. */
export async function forward(upstreams: Upstreams, exchange: Exchange, signal = exchange.signal): Promise<void> {
  const { request, response, headers } = exchange;
  const isChunked = request.headers["transfer-encoding"] !== undefined;
  const hasBody = isChunked || Number(request.headers["content-length"] ?? 0) > 0;
  const answer = await askEngine(upstreams, exchange, {
    method: request.method ?? "GET",
    path: request.url ?? "/",
    headers: isChunked ? [...headers, "Transfer-Encoding", "chunked"] : headers,
    body: hasBody ? request : undefined,
    signal,
  });
  await relay(answer, response);
}

/** Sends a request to the engine. Rejects with `RequestError` where it cannot be reached. */
export async function askEngine(
  upstreams: Upstreams,
  { engine, signal }: Exchange,
  call: UpstreamCall,
): Promise<IncomingMessage> {
  try {
    return await upstreams.send(engine, call);
  } catch (cause) {
    if (signal.aborted) throw cause;
    const message = `the model server on port ${engine.port} cannot be reached`;
    throw new RequestError("ServiceUnavailable", message, { cause });
  }
}
