import { setTimeout as pause } from "node:timers/promises";
import { at, decodeMessage, headerMap, setHeaders } from "../../test/extproc-client.ts";
import type { ChurningFleet } from "./churn-fleet.ts";
import { framedMessages } from "./ext-proc.ts";
import { StreamClient } from "./stream-client.ts";

/** What became of the requests. */
export interface ChurnOutcome {
  readonly sent: number;
  readonly answered: number;
  /** Without a destination, by cause. */
  readonly lost: ReadonlyMap<string, number>;
  /** Sent to an endpoint that was gone already, by how long in ms. */
  readonly goneForMs: readonly number[];
  /** Time to the destination in ms, ascending. */
  readonly latenciesMs: Float64Array;
  /** Longest time for which this process, with load and API server, did nothing: others used the machine. */
  readonly longestPauseMs: number;
}

const TICK_MS = 5;
/** Time whose requests are sent at once. */
const MAX_TICK_MS = 1000;
/** A request without an answer by then is lost. Generous: this process may itself have to wait for the machine. */
const ANSWER_LIMIT_MS = 30_000;
const BODIES = 32;

/** Sends `perSecond` requests in turn to the schedulers for a time, each on a stream of its own, and looks at every answer. */
export async function loadChurning(
  fleet: ChurningFleet,
  addresses: readonly string[],
  perSecond: number,
  seconds: number,
): Promise<ChurnOutcome> {
  const clients = addresses.map((address) => new StreamClient(address));
  const lost = new Map<string, number>();
  const goneForMs: number[] = [];
  const latencies: number[] = [];
  const open = new Set<Promise<void>>();
  let sent = 0;

  const one = async (index: number): Promise<void> => {
    const startedAt = performance.now();
    try {
      const destination = await route(clients[index % clients.length]!, index);
      latencies.push(performance.now() - startedAt);
      const gone = fleet.goneForMs(destination, startedAt);
      if (gone > 0) goneForMs.push(gone);
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      lost.set(cause, (lost.get(cause) ?? 0) + 1);
    }
  };

  const startedAt = performance.now();
  let tickAt = startedAt;
  let longestPauseMs = 0;
  let due = 0;
  while (performance.now() - startedAt < seconds * 1000) {
    const passedMs = performance.now() - tickAt;
    tickAt += passedMs;
    longestPauseMs = Math.max(longestPauseMs, passedMs - TICK_MS);
    // What was missed while this process did not run is made up for, unless it was long: that would be a flood.
    due += (Math.min(passedMs, MAX_TICK_MS) * perSecond) / 1000;
    for (; sent < due; sent++) {
      const request = one(sent);
      open.add(request);
      void request.finally(() => open.delete(request));
    }
    await pause(TICK_MS);
  }
  await Promise.all(open);
  for (const client of clients) client.close();
  return {
    sent,
    answered: latencies.length,
    lost,
    goneForMs,
    latenciesMs: Float64Array.from(latencies).sort(),
    longestPauseMs,
  };
}

const bodies = Array.from({ length: BODIES }, (_, index) => {
  const content = `question ${index} `.repeat(40);
  return Buffer.from(JSON.stringify({ model: "m", messages: [{ role: "user", content }] }));
});

const requests = bodies.map((body, index) => {
  const headers = {
    ":method": "POST",
    ":path": "/v1/chat/completions",
    "content-type": "application/json",
    "x-request-id": `churn-${index}`,
  };
  return framedMessages([
    {
      request_headers: { headers: headerMap(headers) },
      protocol_config: { request_body_mode: 4, response_body_mode: 4 },
    },
    { request_body: { body, end_of_stream: true } },
  ]);
});

/** Answers to such a request: its headers and its body. */
const ANSWERS = 2;
/** One in so many is decoded as a whole; of the others the destination alone is looked for. */
const CHECKED = 64;
const DESTINATION = Buffer.from("x-gateway-destination-endpoint");
/** Tag of `HeaderValue.raw_value`. */
const RAW_VALUE = 0x1a;

/** The destination of a request. Rejects when there is none. */
async function route(client: StreamClient, index: number): Promise<string> {
  const request = requests[index % requests.length]!;
  const [head, body] = await client.exchange(request, ANSWERS, ANSWER_LIMIT_MS);
  if (head === undefined || body === undefined) throw new Error("no answer");
  const destination = destinationIn(head);
  if (destination === undefined || index % CHECKED === 0) return decoded(head, body);
  return destination;
}

/** The value that follows the header's name. */
function destinationIn(message: Buffer): string | undefined {
  for (let found = message.indexOf(DESTINATION); found >= 0; found = message.indexOf(DESTINATION, found + 1)) {
    const at = found + DESTINATION.length;
    if (message[at] === RAW_VALUE) return message.toString("latin1", at + 2, at + 2 + (message[at + 1] ?? 0));
  }
  return undefined;
}

/** The destination by a decoder of the whole messages. Throws where they are no answers to a request that is routed. */
function decoded(headBytes: Buffer, bodyBytes: Buffer): string {
  const head = decodeMessage("ProcessingResponse", headBytes);
  const destination = setHeaders(head, "request_headers.response.header_mutation")[DESTINATION.toString()];
  if (destination === undefined) throw new Error(`refused with ${String(at(head, "immediate_response.status.code"))}`);
  const body = decodeMessage("ProcessingResponse", bodyBytes);
  const ends = at(body, "request_body.response.body_mutation.streamed_response.end_of_stream");
  if (ends !== true) throw new Error("the body's end is missing in the answer");
  return destination;
}
