import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { collect } from "../test/collect.ts";
import { readLines } from "./json-lines.ts";

async function* chunksOf(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
}

describe("lines of a stream", () => {
  test("come whole, however the bytes are cut up", async () => {
    const lines = fc.array(fc.string({ minLength: 1, unit: "grapheme" }).map((text) => text.replaceAll("\n", " ")));
    await fc.assert(
      fc.asyncProperty(lines, fc.array(fc.nat()), async (expected, places) => {
        const bytes = Buffer.from(expected.map((line) => `${line}\n`).join(""));
        const read = await collect(readLines(chunksOf(...cutAt(bytes, places)), 1 << 20));
        expect(read).toEqual(expected);
      }),
    );
  });

  test.each([
    ["a stream that ends within a line", Buffer.from('{"a":1}\n{"b'), "the stream ended within a line"],
    ["a line above the limit", Buffer.alloc(101, "x"), "a line exceeds 100 bytes"],
    ["bytes that are no UTF-8", Buffer.from([0x22, 0xff, 0x22, 0x0a]), "not valid for encoding utf-8"],
  ])("%s is an error", async (_case, bytes, message) => {
    await expect(collect(readLines(chunksOf(bytes), 100))).rejects.toThrow(message);
  });

  test("blank lines are left out", async () => {
    expect(await collect(readLines(chunksOf(Buffer.from("\na\n\nb\n")), 100))).toEqual(["a", "b"]);
  });
});
