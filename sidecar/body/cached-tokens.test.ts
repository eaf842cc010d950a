import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Api } from "./api.ts";
import { mayHoldUsage, readCachedTokens, withCachedTokens } from "./cached-tokens.ts";
import { JsonDocument } from "./document.ts";
import { EventStreamEditor } from "./event-stream.ts";
import { WholeBodyEditor } from "./whole-body.ts";

const rewritten = (value: unknown, api: Api, count = 7): unknown =>
  JSON.parse(withCachedTokens(Buffer.from(JSON.stringify(value)), api, count).toString());

describe("the number of cached tokens", () => {
  test.each<[string, Api, unknown, unknown]>([
    [
      "replaced",
      "chat",
      { usage: { prompt_tokens: 9, prompt_tokens_details: { audio_tokens: 0, cached_tokens: 9 } } },
      { usage: { prompt_tokens: 9, prompt_tokens_details: { audio_tokens: 0, cached_tokens: 7 } } },
    ],
    [
      "told where vLLM leaves it out",
      "completions",
      { usage: { a: 1 } },
      { usage: { a: 1, prompt_tokens_details: { cached_tokens: 7 } } },
    ],
    [
      "told where vLLM writes null",
      "completions",
      { usage: { prompt_tokens_details: null } },
      { usage: { prompt_tokens_details: { cached_tokens: 7 } } },
    ],
    ["no usage", "chat", { choices: [] }, { choices: [] }],
    ["usage is null", "chat", { usage: null }, { usage: null }],
    [
      "of Anthropic's API",
      "messages",
      { usage: { cache_read_input_tokens: 3 } },
      { usage: { cache_read_input_tokens: 7 } },
    ],
    [
      "in Anthropic's first event",
      "messages",
      { message: { usage: { cache_read_input_tokens: 3 } } },
      { message: { usage: { cache_read_input_tokens: 7 } } },
    ],
    ["not added to Anthropic's API", "messages", { usage: { input_tokens: 3 } }, { usage: { input_tokens: 3 } }],
    [
      "of the Responses API",
      "responses",
      { response: { usage: { input_tokens_details: { cached_tokens: 3 } } } },
      { response: { usage: { input_tokens_details: { cached_tokens: 7 } } } },
    ],
  ])("%s", (_what, api, answer, expected) => {
    expect(rewritten(answer, api)).toEqual(expected);
  });

  test("is read back", () => {
    const document = new JsonDocument(Buffer.from('{"usage":{"prompt_tokens_details":{"cached_tokens":5}}}'));
    expect(readCachedTokens(document, "chat")).toBe(5);
    expect(readCachedTokens(new JsonDocument(Buffer.from("{}")), "chat")).toBeUndefined();
  });

  test("text that looks like a usage stays", () => {
    const text = JSON.stringify({ choices: [{ text: '{"usage":{"prompt_tokens":1}}' }] });
    expect(withCachedTokens(Buffer.from(text), "chat", 7).toString()).toBe(text);
  });
});

/** Cuts bytes at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...at, bytes.length].map((end, index) => bytes.subarray(index === 0 ? 0 : at[index - 1], end));
}

const event = fc.oneof(
  fc.record({ choices: fc.array(fc.record({ text: fc.string({ unit: "grapheme" }) })), usage: fc.constant(null) }),
  fc.record({
    choices: fc.array(fc.string({ unit: "grapheme" })),
    usage: fc.record({ prompt_tokens: fc.nat(), prompt_tokens_details: fc.record({ cached_tokens: fc.nat() }) }),
  }),
);

describe("streams", () => {
  test("are changed alike, however they are cut up", () => {
    const lines = fc.array(
      fc.oneof(
        event.map((value) => `data: ${JSON.stringify(value)}`),
        event.map((value) => `data:${JSON.stringify(value)}`),
        fc.constantFrom("", ": usage", "event: x", "data: [DONE]", 'data: {"usage": broken', "id: 7\r"),
      ),
    );
    fc.assert(
      fc.property(lines, fc.array(fc.nat()), fc.boolean(), fc.nat(), (written, places, isWhole, count) => {
        const text = written.join("\n") + (isWhole ? "\n" : "");
        const editor = new EventStreamEditor(mayHoldUsage, (data) => withCachedTokens(data, "chat", count));
        const parts = cut(Buffer.from(text), places).map((chunk) => Buffer.from(editor.push(chunk)));
        const result = Buffer.concat([...parts, editor.end()]).toString();
        const expected = text
          .split("\n")
          .map((line) => {
            const [, head, json, tail] = /^(data: ?)(.*?)(\r*)$/.exec(line) ?? [];
            if (head === undefined) return line;
            return head + withCachedTokens(Buffer.from(json!), "chat", count).toString() + tail;
          })
          .join("\n");
        expect(result).toBe(expected);
      }),
    );
  });

  test("without a usage are handed on as the very bytes", () => {
    const editor = new EventStreamEditor(mayHoldUsage, () => Buffer.from("no"));
    const chunk = Buffer.from('data: {"choices":[]}\n\n');
    expect(editor.push(chunk).buffer).toBe(chunk.buffer);
  });

  test("lines without end are handed on at last", () => {
    const editor = new EventStreamEditor(mayHoldUsage, (data) => data);
    const chunk = Buffer.alloc(5 * 1024 * 1024, "x");
    const total = [1, 2, 3, 4, 5].reduce((sum) => sum + editor.push(chunk).length, 0);
    const rest = editor.push(Buffer.from("y\ndata: 1\n"));
    expect([total, rest.toString()]).toEqual([5 * chunk.length, "y\ndata: 1\n"]);
  });
});

test("a whole body is changed at its end, and one that is too large goes on as it is", () => {
  const change = (body: Buffer): Buffer => Buffer.from(body.toString().toUpperCase());
  const small = new WholeBodyEditor(4, change);
  expect([small.push(Buffer.from("ab")), small.push(Buffer.from("cd")), small.end()].join("")).toBe("ABCD");
  const large = new WholeBodyEditor(3, change);
  expect(
    [large.push(Buffer.from("ab")), large.push(Buffer.from("cd")), large.push(Buffer.from("e")), large.end()].join(""),
  ).toBe("abcde");
});
