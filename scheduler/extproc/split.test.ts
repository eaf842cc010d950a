import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { createTestContext, openExchange, plain, type PlainAnswer } from "../../test/extproc-exchange.ts";
import { COMPLETION, POST, requestBody, requestHeaders, responseHeaders } from "../../test/extproc-messages.ts";
import type { Message } from "../../test/extproc-client.ts";
import { createParsers, PARSER_TYPES } from "../parsers/parsers.ts";
import type { UsageFormat } from "../parsers/traits.ts";
import type { Usage } from "../request/types.ts";
import { createUsageReader } from "./usage.ts";

/** Cuts bytes into chunks at the given places; some of them may be empty. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const places = fc.array(fc.nat(), { maxLength: 12 });
const joined = (answers: readonly PlainAnswer[]): string => answers.map(({ part = "" }) => part).join("");

function chunks(
  field: "request_body" | "response_body",
  bytes: Buffer,
  at: readonly number[],
  ends: boolean,
): Message[] {
  const parts = cut(bytes, at);
  return parts.map((body, index) => ({ [field]: { body, end_of_stream: ends && index === parts.length - 1 } }));
}

const grpcFrame = (...bytes: number[]): string => String.fromCharCode(0, 0, 0, 0, bytes.length, ...bytes);
const BODIES = [
  ["/v1/completions", '{"model":"mé","prompt":["a\\"b","ü"],"max_tokens":3}'],
  ["/v1/chat/completions", '{"messages":[{"role":"user","content":"\\u00e9"}],"model":"m"}'],
  ["/v1/messages", '{"model":"m","messages":[{"role":"user","content":"x"}]}'],
  ["/v1/embeddings", '{"input":[1,2,3],"model":"m"}'],
  ["/inference/v1/generate", '{"token_ids":[1,2],"model":"m"}'],
  ["/generate", '{"input_ids":[1,2],"extra_key":"k"}'],
  ["/vllm.grpc.engine.VllmEngine/Generate", grpcFrame(0x1a, 2, 0x68, 0x69, 0x28, 1)],
  ["/v1/completions", '{"model":"m","prompt":'],
  ["/tokenize", "anything"],
] as const;

test.each(BODIES)("a body on %s is answered alike however it is cut: %s", (path, text) => {
  const parsers = createParsers(PARSER_TYPES);
  const answersOf = (messages: readonly Message[]): PlainAnswer[] => {
    const exchange = openExchange(createTestContext({ context: { parsers } }));
    const headers = { ...POST, ":path": path, "x-llm-d-model-name-rewrite": "other" };
    return [requestHeaders(headers), ...messages].flatMap((message) => exchange.send(message)).map(plain);
  };
  const whole = answersOf([{ request_body: { body: Buffer.from(text), end_of_stream: true } }]);
  fc.assert(
    fc.property(places, (at) => {
      expect(answersOf(chunks("request_body", Buffer.from(text), at, true))).toEqual(whole);
    }),
    { numRuns: 40 },
  );
});

const ANSWERS = [
  [
    "plain",
    '{"model":"other","choices":[{"text":"\\"model\\":\\"other\\""}],"usage":{"prompt_tokens":7,"completion_tokens":2}}',
  ],
  [
    "events",
    'data: {"model": "other","n":1}\r\n\r\ndata: {"model":"other","usage":{"prompt_tokens":7,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
  ],
  ["broken", '{"model":"other","usage":{"prompt_tokens":'],
] as const;

test.each(ANSWERS)("an answer passes alike however it is cut: %s", (_what, text) => {
  const wanted = text.replaceAll(/"model":( ?)"other"/g, '"model":$1"m"');
  fc.assert(
    fc.property(places, fc.boolean(), (at, trailers) => {
      const exchange = openExchange(createTestContext());
      exchange.send(requestHeaders({ ...POST, "x-llm-d-model-name-rewrite": "other" }));
      exchange.send(requestBody(COMPLETION));
      exchange.send(responseHeaders());
      const messages = chunks("response_body", Buffer.from(text), at, !trailers);
      if (trailers) messages.push({ response_trailers: { trailers: {} } });
      const answers = messages.flatMap((message) => exchange.send(message)).map(plain);
      expect(joined(answers)).toBe(wanted);
      expect(answers.filter(({ endOfStream }) => endOfStream)).toHaveLength(trailers ? 0 : 1);
      expect(answers.at(-1)).toMatchObject(trailers ? { kind: "response_trailers" } : { endOfStream: true });
    }),
    { numRuns: 40 },
  );
});

const counts = (promptTokens?: number, completionTokens?: number, cachedTokens?: number): Usage => ({
  promptTokens,
  completionTokens,
  totalTokens: (promptTokens ?? 0) + (completionTokens ?? 0),
  cachedTokens,
});

const USAGES: readonly (readonly [string, UsageFormat, string, Usage | undefined])[] = [
  ["of completions", "usage", '{"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}', counts(4, 2)],
  ["as texts", "usage", '{"usage":{"prompt_tokens":"4","completion_tokens":"2","total_tokens":"6"}}', counts(4, 2)],
  ["null", "usage", '{"usage":null}', undefined],
  ["of wrong types", "usage", '{"usage":{"prompt_tokens":[4],"completion_tokens":{"a":1}}}', counts()],
  ["absent", "usage", '{"choices":[]}', undefined],
  [
    "of responses",
    "usage",
    'event: x\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":4,"input_tokens_details":{"cached_tokens":3},"output_tokens":2}}}\r\n\r\n',
    counts(4, 2, 3),
  ],
  [
    "of messages, as events",
    "usage",
    'data: {"type":"message_start","message":{"usage":{"input_tokens":4,"cache_read_input_tokens":0,"output_tokens":1}}}\n\ndata: {"type":"message_delta","usage":{"output_tokens":2}}\n\n',
    counts(4, 2, 0),
  ],
  [
    "in the chunk of [DONE]",
    "usage",
    'data: {"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
    counts(4, 2),
  ],
  ["in a text, not a member", "usage", '{"text":"\\"usage\\":{\\"prompt_tokens\\":4}"}', undefined],
  [
    "of SGLang",
    "meta-info",
    '{"text":"a","meta_info":{"id":"x","input_token_logprobs":[[-0.1,5]],"prompt_tokens": 4,"completion_tokens":12,"cached_tokens":3}}',
    counts(4, 12, 3),
  ],
  [
    "of vLLM's stream",
    "vllm-grpc",
    grpcFrame(0x0a, 4, 0x10, 4, 0x18, 1) + grpcFrame(0x0a, 4, 0x10, 4, 0x18, 2),
    counts(4, 2),
  ],
  ["of vLLM's last message", "vllm-grpc", grpcFrame(0x12, 6, 0x18, 4, 0x20, 2, 0x28, 3), counts(4, 2, 3)],
  ["of vLLM's embedding", "vllm-grpc-embed", grpcFrame(0x0a, 4, 0, 0, 128, 63, 0x10, 4, 0x18, 1), counts(4)],
  ["of a damaged message", "vllm-grpc", grpcFrame(0x0a, 9, 1), undefined],
];

test.each(USAGES)("usage %s is read however the answer is cut", (_what, format, text, usage) => {
  fc.assert(
    fc.property(places, (at) => {
      const reader = createUsageReader(format);
      for (const chunk of cut(Buffer.from(text, format.startsWith("vllm-grpc") ? "latin1" : "utf8"), at))
        reader?.push(chunk);
      expect(reader?.usage).toEqual(usage);
    }),
    { numRuns: 60 },
  );
});
