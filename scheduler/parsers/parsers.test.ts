import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { scanDocument } from "../../json/scan.ts";
import { RequestError } from "../request/types.ts";
import { replaceModel } from "./json-body.ts";
import { createParsers } from "./parsers.ts";
import { stringValue } from "./string-value.ts";

const parsers = createParsers();
const parse = (path: string, value: unknown) => parsers.parse(path, Buffer.from(JSON.stringify(value)));
const prompts = (path: string, value: unknown): string[] => parse(path, value).promptBytes().map(String);

const json = fc.json({ maxDepth: 4, stringUnit: "grapheme" });
const object = fc.dictionary(
  fc.string({ unit: "grapheme" }),
  json.map((text) => JSON.parse(text) as unknown),
  { maxKeys: 8 },
);
const spaced = fc
  .tuple(object, fc.integer({ min: 0, max: 3 }))
  .map(([value, space]) => JSON.stringify(value, undefined, space));

describe("the scan", () => {
  test("finds every member where JSON.parse does", () => {
    fc.assert(
      fc.property(spaced, (text) => {
        const bytes = Buffer.from(text);
        const parsed = JSON.parse(text) as Record<string, unknown>;
        const members = scanDocument(bytes);
        expect([...members.keys()].sort()).toEqual(Object.keys(parsed).sort());
        for (const [key, { start, end }] of members)
          expect(JSON.parse(bytes.toString("utf8", start, end))).toEqual(parsed[key]);
      }),
    );
  });

  test("reads strings as JSON.parse does, escapes included", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.boolean(), (value, ascii) => {
        const plain = JSON.stringify(value);
        const text = ascii
          ? plain.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
          : plain;
        const bytes = Buffer.from(text);
        expect(stringValue(bytes, { start: 0, end: bytes.length })).toBe(Buffer.from(value).toString("utf8"));
      }),
    );
  });

  test.each([
    ['"\\u"', "\ufffd"],
    ['"\\u12"', "\ufffd12"],
    ['"\\ud83d"', "\ufffd"],
    ['"\\ud83d\\u"', "\ufffd\ufffd"],
    ['"\\udc00x"', "\ufffdx"],
    ['"\\uzzzz"', "\ufffdzzzz"],
    ['"\\x"', "x"],
  ])("reads the damaged escape %s", (text, value) => {
    expect(stringValue(Buffer.from(text), { start: 0, end: Buffer.byteLength(text) })).toBe(value);
  });

  test("refuses every beginning of an object", () => {
    const text = '{"model":"m","prompt":["a\\"b",{"c":[1,2]}],"n":-1.5e3}';
    for (let end = 0; end < text.length; end++)
      expect(() => scanDocument(Buffer.from(text.slice(0, end)))).toThrow(/unexpected end|invalid/);
  });

  test.each(["[]", "1", "{} x", "{'a':1}", '{"a" 1}', '{"a":01}', '{"a":tru}', "{,}", '{"a":1,}', ""])(
    "refuses %s",
    (text) => {
      expect(() => scanDocument(Buffer.from(text))).toThrow();
    },
  );
});

test.each([
  ["/v1/chat/completions", { messages: [] }, "invalid chat completions request: must have valid messages field"],
  [
    "/v1/chat/completions",
    { messages: [{ role: "user", content: 5 }] },
    "invalid chat completions request: must have valid messages field",
  ],
  ["/v1/chat/completions", { messages: ["x"] }, "invalid chat completions request: must have valid messages field"],
  [
    "/v1/messages",
    { messages: [{ role: "user", content: {} }] },
    "error parsing messages request: content must be text or an array of blocks",
  ],
  ["/v1/completions", { prompt: "" }, "invalid completions request: must have prompt field"],
  ["/v1/completions", { prompt: ["a", 1] }, "invalid completions request: must have prompt field"],
  ["/v1/completions", { prompt: [1.5] }, "invalid completions request: must have prompt field"],
  ["/v1/embeddings", {}, "invalid embeddings request: must have input field"],
  ["/v1/responses", { input: null }, "invalid responses request: must have input field"],
  ["/v1/conversations", { items: [] }, "invalid conversations request: must have items field"],
  ["/v1/images/generations", { prompt: 3 }, "invalid images generations request: must have prompt field"],
  ["/v1/messages", {}, "invalid messages request: must have at least one message"],
  ["/inference/v1/generate", { token_ids: [1, -1] }, "invalid generate request: token_ids[1]: invalid value"],
])("%s refuses %j", (path, body, message) => {
  expect(() => parse(path, body)).toThrow(new RequestError("BadRequest", message));
});

test("scalars", () => {
  const body = parse("/v1/chat/completions", {
    model: "m\u00e9",
    stream: true,
    max_completion_tokens: "no",
    max_tokens: 12,
    cache_salt: "tenant",
    messages: [{ role: "user", content: "x" }],
  });
  expect(body).toMatchObject({ model: "m\u00e9", stream: true, maxOutputTokens: 12, cacheSalt: "tenant" });
  expect(parse("/v1/completions", { model: 3, stream: 1, max_tokens: 1.5, prompt: "x" })).toMatchObject({
    model: "",
    stream: false,
    maxOutputTokens: undefined,
  });
});

describe("prompts", () => {
  test("of completions", () => {
    expect(prompts("/v1/completions", { prompt: "a\nb" })).toEqual(["a\nb"]);
    expect(prompts("/v1/completions", { prompt: ["a", "b"] })).toEqual(["a", "b"]);
    const ids = parse("/v1/completions", { prompt: [1, 2, 3] });
    expect([ids.promptBytes(), ids.promptTokenIds()]).toEqual([[], [Uint32Array.of(1, 2, 3)]]);
  });

  test("of chat: tools, then roles and contents", () => {
    const messages = [
      { role: "system", content: 'be "brief"' },
      {
        content: [
          { type: "text", text: "one" },
          { type: "text", text: "two" },
        ],
        role: "user",
      },
    ];
    expect(prompts("/v1/chat/completions", { messages, tools: [{ a: 1 }] })).toEqual([
      '[{"a":1}]systembe "brief"useronetwo',
    ]);
  });

  test("images, video and audio stand as words from a token's boundary on", () => {
    const content = [
      { type: "image_url", image_url: { url: "http://a/b.png" } },
      { type: "video_url", video_url: { url: "v" } },
      { type: "input_audio", input_audio: { data: "QUJD", format: "wav" } },
      { type: "text", text: "end" },
    ];
    const seen: string[] = [];
    const [prompt] = parse("/v1/chat/completions", { messages: [{ role: "me", content }] }).promptBytes((part) => {
      seen.push(`${part.modality} ${part.content.toString()}`);
      return { word: 0x01020304, count: seen.length };
    });
    expect(seen).toEqual(["image http://a/b.png", "video v", "audio QUJDwav"]);
    expect(prompt?.toString("latin1")).toBe(`me\0\0${"\x04\x03\x02\x01".repeat(6)}end`);
  });

  test("of Anthropic's messages", () => {
    const system = [
      { type: "text", text: "x-anthropic-billing-header: 1" },
      { type: "text", text: "sys" },
    ];
    const content = [
      { type: "thinking", thinking: "hm" },
      { type: "tool_use", id: "i", name: "n", input: { a: 1 } },
      {
        type: "tool_result",
        tool_use_id: "i",
        content: [
          { type: "text", text: "one" },
          { type: "text", text: "two" },
        ],
      },
      { type: "tool_result", content: "three" },
    ];
    expect(prompts("/v1/messages", { system, messages: [{ role: "user", content }] })).toEqual([
      'sysuserhmin{"a":1}one\ntwothree',
    ]);
    const source = { type: "base64", media_type: "image/png", data: "AAAA" };
    const image = parse("/v1/messages", { messages: [{ role: "user", content: [{ type: "image", source }] }] });
    expect(image.media()).toEqual([{ modality: "image", content: Buffer.from("data:image/png;base64,AAAA") }]);
  });

  test("of the other APIs", () => {
    expect(prompts("/v1/responses", { input: "x", instructions: "y" })).toEqual([
      '[{"instructions":"y"},{"input":"x"}]',
    ]);
    expect(prompts("/v1/embeddings", { input: ["x"] })).toEqual(['["x"]']);
    expect(prompts("/v1/messages", { system: "s", messages: [{ role: "user", content: "x" }] })).toEqual(["suserx"]);
  });
});

test("replacing the model changes nothing else", () => {
  fc.assert(
    fc.property(object, fc.string({ unit: "grapheme" }), (value, model) => {
      const bytes = replaceModel(Buffer.from(JSON.stringify(value)), model);
      expect(JSON.parse(bytes.toString())).toEqual({ ...value, model });
    }),
  );
  expect(replaceModel(Buffer.from('{"n":12345678901234567890,"model":"a"}'), "b").toString()).toBe(
    '{"n":12345678901234567890,"model":"b"}',
  );
});
