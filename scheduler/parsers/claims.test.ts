import { describe, expect, test } from "@jest/globals";
import { RequestError } from "../request/types.ts";
import { createParsers, PARSER_TYPES } from "./parsers.ts";

const every = createParsers(PARSER_TYPES);
const BODY = Buffer.from(
  JSON.stringify({
    model: "m",
    prompt: "x",
    input: "x",
    items: [{}],
    messages: [{ role: "user", content: "x" }],
    token_ids: [1],
    input_ids: [1],
  }),
);

/** A gRPC message with its frame header. */
function framed(message: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

describe("paths", () => {
  test.each([
    ["/v1/completions", "completions"],
    ["/v1/completions/render", "completions"],
    ["/v1/chat/completions", "chat"],
    ["/v1/chat/completions/render", "chat"],
    ["/tenant/v1/chat/completions// ", "chat"],
    ["/v1/embeddings", "embeddings"],
    ["/v1/responses", "responses"],
    ["/v1/conversations", "conversations"],
    ["/v1/images/generations", "images"],
    ["/v1/messages", "messages"],
    ["/v1/messages/count_tokens", "count-tokens"],
    ["/inference/v1/generate", "generate"],
    ["/generate", "sglang"],
    ["/generate/", "sglang"],
    ["/v1/generate", "raw"],
    ["/xcompletions", "completions"],
    ["/tokenize", "raw"],
    ["/v1/audio/transcriptions", "raw"],
    ["/v1/rerank", "raw"],
    ["/vllm.grpc.engine.VllmEngine/Abort", "vllm-grpc-other"],
  ])("%s is of %s", (path, api) => {
    expect(every.parse(path, BODY).api).toBe(api);
    expect(every.claims(path)).toBe(api !== "raw");
  });

  test("an explicit list has no passthrough", () => {
    expect(() => createParsers(["openai-parser"]).parse("/tokenize", BODY)).toThrow(
      new RequestError("BadRequest", "no parser registered matching path suffix for: /tokenize"),
    );
  });

  test("what stands after the passthrough, or twice, is told and not used", () => {
    const told: string[] = [];
    const parsers = createParsers(
      ["openai-parser", "openai-parser", "passthrough-parser", "anthropic-parser"],
      (text) => told.push(text),
    );
    expect(told).toEqual([
      "parser anthropic-parser stands after passthrough-parser, which takes every path: it is never used",
      "parser openai-parser is listed twice: the second is not used",
    ]);
    expect(parsers.parse("/v1/messages", BODY).api).toBe("raw");
  });
});

describe("SGLang", () => {
  test("generate", () => {
    const body = Buffer.from(
      '{"input_ids":[1,4294967295],"extra_key":"k","stream":true,"sampling_params":{"max_new_tokens":9}}',
    );
    const parsed = every.parse("/generate", body);
    expect(parsed).toMatchObject({ api: "sglang", model: "", stream: true, cacheSalt: "k", maxOutputTokens: 9 });
    expect(parsed.promptTokenIds()).toEqual([Uint32Array.of(1, 4294967295)]);
  });

  test.each([
    ["{}", "invalid generate request: must have non-empty input_ids field"],
    ['{"input_ids":[]}', "invalid generate request: must have non-empty input_ids field"],
    ['{"input_ids":[1,4294967296]}', "invalid generate request: input_ids[1]: invalid value"],
  ])("refuses %s", (body, message) => {
    expect(() => every.parse("/generate", Buffer.from(body))).toThrow(new RequestError("BadRequest", message));
  });
});

describe("vLLM's engine over gRPC", () => {
  const GENERATE = "/vllm.grpc.engine.VllmEngine/Generate";

  test("token ids, packed and not", () => {
    // TokenizedInput {2: 5, 2: 300} one by one, and {2: [5, 300]} packed.
    for (const input of [
      [0x10, 5, 0x10, 0xac, 0x02],
      [0x12, 3, 5, 0xac, 0x02],
    ]) {
      const message = Buffer.from([0x12, input.length, ...input, 0x22, 2, 0x40, 7, 0x28, 1]);
      const parsed = every.parse(GENERATE, framed(message));
      expect(parsed).toMatchObject({ api: "vllm-grpc", model: "", stream: true, maxOutputTokens: 7 });
      expect(parsed.promptTokenIds()).toEqual([Uint32Array.of(5, 300)]);
      expect(parsed.promptBytes()).toEqual([]);
    }
  });

  test("text", () => {
    const parsed = every.parse(GENERATE, framed(Buffer.from([0x1a, 2, 0x68, 0x69])));
    expect(parsed.promptBytes().map(String)).toEqual(["hi"]);
    expect(parsed.promptTokenIds()).toBeUndefined();
  });

  test("Embed", () => {
    const parsed = every.parse("/vllm.grpc.engine.VllmEngine/Embed", framed(Buffer.from([0x12, 3, 0x12, 1, 5])));
    expect(parsed.promptTokenIds()).toEqual([Uint32Array.of(5)]);
  });

  test.each([
    ["compressed", framed(Buffer.from([0x1a, 0]), 1), "compressed messages are not supported"],
    ["cut", framed(Buffer.from([0x1a, 0])).subarray(0, 6), "message is incomplete"],
    ["empty", Buffer.alloc(0), "message is incomplete"],
    ["damaged", framed(Buffer.from([0x1a, 9])), "field reaches beyond its message"],
  ])("refuses what is %s", (_what, body, text) => {
    expect(() => every.parse(GENERATE, body)).toThrow(new RequestError("BadRequest", `invalid gRPC request: ${text}`));
  });
});

test.each([
  ["ChatCompletions", "vertex-chat", '{"model":"m","messages":[{"role":"user","content":"hi"}]}', "userhi"],
  ["RawPredict", "vertex-responses", '{"model":"m","input":"hi"}', '[{"input":"hi"}]'],
  ["StreamRawPredict", "vertex-responses", '{"model":"m","input":"hi"}', '[{"input":"hi"}]'],
])("Vertex AI's %s wraps JSON in gRPC", (method, api, json, prompt) => {
  const data = Buffer.from(json);
  const inner = Buffer.concat([Buffer.from([0x0a, 1, 0x61, 0x12, data.length]), data]);
  const outer = framed(Buffer.concat([Buffer.from([0x12, inner.length]), inner]));
  const parsed = every.parse(`/google.cloud.aiplatform.v1.PredictionService/${method}`, outer);
  expect(parsed).toMatchObject({ api, model: "m" });
  expect(parsed.bytes).toBe(outer);
  expect(parsed.promptBytes().map(String)).toEqual([prompt]);
});
