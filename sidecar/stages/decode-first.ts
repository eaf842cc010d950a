import type { JsonDocument } from "../body/document.ts";
import { firstData } from "../body/event-stream.ts";
import { missedThreshold } from "../connectors/shared-storage.ts";
import type { Exchange } from "../exchange.ts";
import { peek } from "../http/peek.ts";
import { relay } from "../http/relay.ts";
import type { Upstreams } from "../http/upstream.ts";
import { stageCall } from "./decode.ts";
import { askEngine } from "./forward.ts";

/** Bytes of an answer that are looked at. */
const MAX_LOOK_BYTES = 1024 * 1024;

/**
 * Has the engine try with what its cache holds. Hands its answer to the client, unless it says that this is too little: then
 * nothing is answered yet. Returns whether the client has an answer.
 */
export async function decodeFirst(upstreams: Upstreams, exchange: Exchange, body: JsonDocument): Promise<boolean> {
  // The client's own request id: the engine may still be ending this request while it begins the next one.
  const answer = await askEngine(upstreams, exchange, stageCall(exchange, { body: body.bytes }, undefined));
  const isStream = (answer.headers["content-type"] ?? "").includes("text/event-stream");
  const isGood = (answer.statusCode ?? 0) < 300;
  const enough = (held: Buffer): boolean =>
    held.length > MAX_LOOK_BYTES || (isStream && firstData(held) !== undefined) || !isGood;
  const held = await peek(answer, enough);
  const first = isStream ? firstData(held) : held;
  if (isGood && first !== undefined && missedThreshold(first)) {
    answer.destroy();
    return false;
  }
  await relay(answer, exchange.response, { begun: [held] });
  return true;
}
