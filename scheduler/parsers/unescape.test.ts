import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { unescaped } from "./unescape.ts";

const text = fc.array(
  fc.constantFrom(
    "a",
    "longer than eight bytes ",
    "\\n",
    "\\t",
    "\\\\",
    '\\"',
    "\\/",
    "\\u00e9",
    "\\u20AC",
    "\\ud83d\\ude00",
    "é",
    "日本",
  ),
);

test("what JSON.parse makes of a string", () => {
  fc.assert(
    fc.property(text, (parts) => {
      const content = parts.join("");
      expect(unescaped(Buffer.from(content)).toString()).toBe(JSON.parse(`"${content}"`));
    }),
    { numRuns: 300 },
  );
});

test("any bytes, also at the bound of the memory that there is", () => {
  const piece = fc.constantFrom("\\u", "\\ud800", "\\x", "\\", "\\u12", "abcdefghi", "\0");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40, size: "max" }), fc.integer({ min: 1, max: 400 }), (parts, times) => {
      const content = Buffer.from(parts.join("").repeat(times));
      expect(unescaped(content).length).toBeLessThanOrEqual(1.5 * content.length + 1);
    }),
    { numRuns: 100 },
  );
});

test.each([
  ["\\ud800", "\ufffd"],
  ["\\ud83dx\\ude00", "\ufffdx\ufffd"],
  ["\\uZZ", "\ufffdZZ"],
  ["\\x", "x"],
  ["a\\", "a\\"],
  ["12345678\\n12345678", "12345678\n12345678"],
])("%j", (content, expected) => {
  expect(unescaped(Buffer.from(content)).toString()).toBe(expected);
});
