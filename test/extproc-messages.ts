import {
  createTestContext,
  type Exchange,
  openExchange,
  plain,
  type PlainAnswer,
  type TestSetup,
} from "./extproc-exchange.ts";
import { headerMap, type Message } from "./extproc-client.ts";

/** A completions request. */
export const COMPLETION = JSON.stringify({ model: "m", prompt: "hello" });
/** Its headers. */
export const POST = { ":method": "POST", ":path": "/v1/completions", "x-request-id": "r1" };
/** The endpoint of `PODS` that every load scorer prefers. */
export const IDLE = "10.0.0.2:8000";
/** Body modes by their number. */
export const MODE = { none: 0, streamed: 1, buffered: 2, partial: 3, duplex: 4 };

/** Headers by name. */
export type HeaderTexts = Readonly<Record<string, string>>;

/** Request headers; members of the message itself go into `more`, and `end_of_stream` to the headers. */
export const requestHeaders = (headers: HeaderTexts = POST, more: Message = {}): Message => {
  const { end_of_stream, ...rest } = more;
  return { request_headers: { headers: headerMap(headers), end_of_stream }, ...rest };
};
/** A part of a request's body. */
export const requestBody = (body: string, end = true, more: Message = {}): Message => ({
  request_body: { body: Buffer.from(body), end_of_stream: end },
  ...more,
});
/** Request trailers. */
export const TRAILERS: Message = { request_trailers: { trailers: headerMap({}) } };
/** Headers of an answer. */
export const responseHeaders = (headers: HeaderTexts = { ":status": "200" }, more: Message = {}): Message => ({
  response_headers: { headers: headerMap(headers) },
  ...more,
});
/** A part of an answer's body. */
export const responseBody = (body: string, end = true): Message => ({
  response_body: { body: Buffer.from(body), end_of_stream: end },
});
/** Trailers of an answer. */
export const RESPONSE_TRAILERS: Message = { response_trailers: { trailers: headerMap({}) } };

/** What a proxy tells about its modes. */
export const modes = (request: number, response = MODE.duplex): Message => ({
  protocol_config: { request_body_mode: request, response_body_mode: response },
});

/** A subset hint of any value. */
export const subsetHint = (value: Message): Message => ({
  metadata_context: {
    filter_metadata: { "envoy.lb.subset_hint": { fields: { "x-gateway-destination-endpoint-subset": value } } },
  },
});
/** A subset hint that lists members. */
export const subsetList = (...entries: unknown[]): Message =>
  subsetHint({
    list_value: { values: entries.map((entry) => (typeof entry === "string" ? { string_value: entry } : entry)) },
  });

/** Opens a stream to a test scheduler. */
export function open(setup: TestSetup = {}): Exchange {
  return openExchange(createTestContext(setup));
}

/** Sends messages and returns all answers in plain terms. */
export function run(exchange: Exchange, ...messages: readonly Message[]): PlainAnswer[] {
  return messages.flatMap((message) => exchange.send(message)).map(plain);
}

/** The destination that answers tell, if any. */
export const destinationOf = (answers: readonly PlainAnswer[]): string | undefined =>
  answers.find(({ set }) => set?.["x-gateway-destination-endpoint"] !== undefined)?.set?.[
    "x-gateway-destination-endpoint"
  ];

/** The answers to a whole request. */
export const route = (setup: TestSetup, headers: HeaderTexts = POST, body = COMPLETION, more: Message = {}) =>
  run(open(setup), requestHeaders(headers), requestBody(body, true, more));
