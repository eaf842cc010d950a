import { encodeMessage, headerMap } from "../../test/extproc-client.ts";

/** gRPC method of the external processor. */
export const PROCESS_PATH = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/** Body bytes of one message: what a proxy has read from its client when it passes them on. */
const CHUNK_BYTES = 16 * 1024;

/** What a browser-like client, a load balancer and a proxy put on a chat request: 25 headers, 1.2 KB. */
function requestHeaders(id: string, contentLength: number): Record<string, string> {
  return {
    ":authority": "inference.example.com",
    ":method": "POST",
    ":path": "/v1/chat/completions",
    ":scheme": "https",
    accept: "application/json",
    "accept-encoding": "gzip, deflate, br",
    "accept-language": "en-US,en;q=0.9",
    authorization: `Bearer ${"k".repeat(164)}`,
    "cache-control": "no-cache",
    "content-length": String(contentLength),
    "content-type": "application/json",
    cookie: `session=${"c".repeat(240)}`,
    origin: "https://chat.example.com",
    referer: "https://chat.example.com/conversations/0b9b6f2e-6c5b-4d64-9c0e-2f1b3a7d9e10",
    "user-agent": "OpenAI/Python 1.99.9 (httpx/0.28.1; CPython 3.12.4; Linux x86_64)",
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "x-envoy-attempt-count": "1",
    "x-envoy-external-address": "203.0.113.77",
    "x-forwarded-for": "203.0.113.77, 10.0.3.4",
    "x-forwarded-proto": "https",
    "x-request-id": id,
    "x-stainless-lang": "python",
    "x-stainless-package-version": "1.99.9",
    "x-stainless-retry-count": "0",
    "x-stainless-runtime": "CPython",
  };
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The parts of a body as a proxy sends them: at least two, the last one marked as the end. */
export function bodyChunks(body: Buffer): Buffer[] {
  const size = Math.min(CHUNK_BYTES, Math.ceil(body.length / 2));
  return Array.from({ length: Math.ceil(body.length / size) }, (_, at) => body.subarray(at * size, (at + 1) * size));
}

/** The messages that Envoy sends for a request in FULL_DUPLEX_STREAMED mode. */
export function requestMessages(id: string, body: Buffer): Readonly<Record<string, unknown>>[] {
  const chunks = bodyChunks(body);
  return [
    {
      request_headers: { headers: headerMap(requestHeaders(id, body.length)) },
      protocol_config: { request_body_mode: 4, response_body_mode: 4 },
    },
    ...chunks.map((chunk, at) => ({ request_body: { body: chunk, end_of_stream: at === chunks.length - 1 } })),
  ];
}

/** The same messages, as the bytes of one gRPC stream. */
export function framedRequest(id: string, body: Buffer): Buffer {
  return framedMessages(requestMessages(id, body));
}

/** Messages to the external processor as the bytes of one gRPC stream. */
export function framedMessages(messages: readonly Readonly<Record<string, unknown>>[]): Buffer {
  return Buffer.concat(messages.map((message) => framed(encodeMessage("ProcessingRequest", message))));
}
