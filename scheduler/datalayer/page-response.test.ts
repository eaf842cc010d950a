import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { PageResponse } from "./page-response.ts";
import { ScrapeError } from "./scrape-error.ts";

const head = (...lines: readonly string[]): string => ["HTTP/1.1 200 OK", ...lines, "", ""].join("\r\n");
const chunked = (...parts: readonly string[]): string =>
  `${head("Transfer-Encoding: chunked")}${[...parts, ""].map((part) => `${part.length.toString(16)};x=y\r\n${part}\r\n`).join("")}`;

const ANSWERS: readonly (readonly [name: string, answer: string, page: string])[] = [
  ["a length", `${head("content-length: 5", "content-type: text/plain")}a 1\nb`, "a 1\nb"],
  ["no content", head("Content-Length:0"), ""],
  ["chunks", chunked("a 1\r\n", "b", "c".repeat(300)), `a 1\r\nb${"c".repeat(300)}`],
  ["no chunk", chunked(), ""],
  ["an interim answer first", `HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${head("content-length: 1")}a`, "a"],
];

function read(answer: string, cuts: readonly number[]): PageResponse {
  const response = new PageResponse(1000);
  const bytes = Buffer.from(answer, "latin1");
  const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
  for (const [index, end] of at.slice(1).entries()) {
    // The buffer is reused as soon as the call returns.
    const part = Buffer.from(bytes.subarray(at[index], end));
    response.push(part);
    part.fill(0);
  }
  return response;
}

test.each(ANSWERS)("%s, cut anywhere", (_name, answer, page) => {
  fc.assert(
    fc.property(fc.array(fc.nat(answer.length), { maxLength: 5 }), (cuts) => {
      const response = read(answer, cuts);
      expect(response.push(Buffer.alloc(0))).toBe(true);
      expect(response.page.toString("latin1")).toBe(page);
      expect(response.reusable).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test("a body that ends with its connection", () => {
  const response = read(`${head()}a 1\nb 2`, [30]);
  response.end();
  expect(response.page.toString()).toBe("a 1\nb 2");
  expect(response.reusable).toBe(false);
});

test.each([
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na"],
  ["connection: close", `${head("content-length: 1", "Connection: close")}a`],
  ["bytes behind the answer", `${head("content-length: 1")}ab`],
])("not to be used again: %s", (_name, answer) => {
  expect(read(answer, []).reusable).toBe(false);
});

test("any bytes give an answer or a ScrapeError", () => {
  const noise = fc.constantFrom(
    "\r\n",
    "\r\n\r\n",
    "a",
    "0\r\n",
    "ffffffff\r\n",
    "-1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "5\r\n",
  );
  fc.assert(
    fc.property(fc.constantFrom(...ANSWERS), fc.array(noise), fc.nat(300), ([, answer], extra, at) => {
      try {
        read(answer.slice(0, at) + extra.join("") + answer.slice(at), []).end();
      } catch (error) {
        expect(error).toBeInstanceOf(ScrapeError);
      }
    }),
    { numRuns: 500 },
  );
});
