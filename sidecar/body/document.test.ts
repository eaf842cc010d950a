import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { JsonDocument, jsonObject, readDocument } from "./document.ts";

const edited = (text: string, edits: Record<string, string | undefined>): string =>
  new JsonDocument(Buffer.from(text)).with(edits).toString();

describe("edits of an object", () => {
  test.each([
    ["nothing", '{"a":1}', {}, '{"a":1}'],
    ["a value in its place", '{"a":1,"b":2}', { a: "3" }, '{"a":3,"b":2}'],
    ["a new member last", '{"a":1}', { b: "null" }, '{"a":1,"b":null}'],
    ["a member of an empty object", "{ }", { b: "2" }, '{"b":2}'],
    ["a member taken out", '{"a":1,"b":2}', { a: undefined }, '{"b":2}'],
    ["the only member taken out", '{"a":1}', { a: undefined }, "{}"],
    ["a repeated member becomes one", '{"a":1,"b":2,"a":3}', { a: "4" }, '{"a":4,"b":2}'],
    ["an escaped key is known", '{"\\u0061":1}', { a: "2" }, '{"\\u0061":2}'],
    [
      "digits of others stay",
      '{"id":12345678901234567890,"x":1.0,"a":1}',
      { a: "2" },
      '{"id":12345678901234567890,"x":1.0,"a":2}',
    ],
    ["text of others stays", '{"p":"\\u00e9 \\"q\\" {}[]","a":1}', { a: "2" }, '{"p":"\\u00e9 \\"q\\" {}[]","a":2}'],
  ])("%s", (_what, text, edits, expected) => {
    expect(edited(text, edits)).toBe(expected);
  });

  test("as JSON.parse and JSON.stringify would make them", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), fc.option(fc.jsonValue(), { nil: undefined })),
        fc.boolean(),
        (object, changes, spaced) => {
          const entries = Object.entries(changes).map(([key, value]) => [
            key,
            value === undefined ? undefined : JSON.stringify(value),
          ]);
          const bytes = Buffer.from(JSON.stringify(object, undefined, spaced ? 2 : 0));
          const result: unknown = JSON.parse(new JsonDocument(bytes).with(Object.fromEntries(entries)).toString());
          const expected = Object.entries({ ...object, ...changes }).filter(([, value]) => value !== undefined);
          expect(result).toEqual(JSON.parse(JSON.stringify(Object.fromEntries(expected))));
        },
      ),
    );
  });
});

test("members are read where they are of use", () => {
  const document = new JsonDocument(Buffer.from('{"o":{"x":1},"n":5,"a":[1],"n":6}'));
  expect([document.value("n"), document.object("o")?.value("x"), document.object("a"), document.raw("z")]).toEqual([
    6,
    1,
    undefined,
    undefined,
  ]);
  expect(jsonObject({ a: "1", b: undefined }).toString()).toBe('{"a":1}');
});

test.each(["", "[]", "null", "{", '{"a":1}x', '{"a" 1}', '{"a":tru}', '{"a":"x}'])("%j is no object", (text) => {
  expect(readDocument(Buffer.from(text))).toBeUndefined();
});
