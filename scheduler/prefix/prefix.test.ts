import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { readShared } from "../../test/corpus.ts";
import { chainSeed, hashChain } from "./hash-chain.ts";
import { xxh64 } from "./xxh64.ts";

const hex = (value: bigint): string => value.toString(16).padStart(16, "0");

function tokens(ids: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(ids).buffer);
}

function chain(prompt: Uint8Array, model: string, salt: string, block: number): bigint[] {
  const halves = hashChain(prompt, chainSeed(model, salt), block, Infinity);
  return Array.from({ length: halves.length / 2 }, (_, index) => {
    return (BigInt(halves[2 * index + 1]!) << 32n) | BigInt(halves[2 * index]!);
  });
}

interface Vectors {
  readonly cases: readonly {
    readonly model: string;
    readonly cache_salt: string;
    readonly block_size_tokens: number;
    readonly token_ids: readonly number[];
    readonly seed_u64: string;
    readonly blocks: readonly { readonly hash_u64: string }[];
  }[];
}

describe("prefix hashes", () => {
  test.each([
    ["", "ef46db3751d8e999"],
    ["base-model", "9dd54735fd750fcf"],
  ])("xxh64 of %j", (text, expected) => {
    expect(hex(xxh64(Buffer.from(text)))).toBe(expected);
  });

  test("chains of the recorded vectors", () => {
    const { cases } = JSON.parse(readShared("corpus/vectors/approx-prefix-hash-current.json")) as Vectors;
    for (const { model, cache_salt, block_size_tokens, token_ids, seed_u64, blocks } of cases) {
      expect(String(chainSeed(model, cache_salt))).toBe(seed_u64);
      const hashes = chain(tokens(token_ids), model, cache_salt, block_size_tokens).map(String);
      expect(hashes).toEqual(blocks.map(({ hash_u64 }) => hash_u64));
    }
  });

  test("estimated tokens of a text", () => {
    const text = "The quick brown fox jumps over the lazy dog. ".repeat(4).slice(0, 150);
    const prompt = Buffer.alloc(152);
    prompt.write(text);
    expect(chain(prompt, "base-model", "", 64).map(hex)).toEqual(["cbbce5ccef4e56e7"]);
    const ids = Array.from({ length: 160 }, (_, index) => index + 1);
    expect(chain(tokens(ids), "base-model", "tenant-1", 64).map(hex)).toEqual([
      "6aaa0b066630d969",
      "7884bfeb7acc8903",
      "bd988ccd4427dafc",
    ]);
  });
});

/** The specification's algorithm, step by step on big integers. */
function specified(bytes: Uint8Array): bigint {
  const [p1, p2, p3] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n];
  const [p4, p5] = [0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n];
  const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
  const rotate = (value: bigint, bits: bigint): bigint => u64((u64(value) << bits) | (u64(value) >> (64n - bits)));
  const round = (lane: bigint, input: bigint): bigint => u64(rotate(lane + input * p2, 31n) * p1);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const lanes = [p1 + p2, p2, 0n, -p1];
  let at = 0;
  let hash = p5;
  if (bytes.length >= 32) {
    for (; at + 32 <= bytes.length; at += 32)
      lanes.forEach((lane, index) => (lanes[index] = round(lane, view.getBigUint64(at + 8 * index, true))));
    hash = [1n, 7n, 12n, 18n].reduce((sum, bits, index) => sum + rotate(lanes[index]!, bits), 0n);
    for (const lane of lanes) hash = u64((hash ^ round(0n, lane)) * p1 + p4);
  }
  hash = u64(hash + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8)
    hash = u64(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * p1 + p4);
  if (at + 4 <= bytes.length) {
    hash = u64(rotate(hash ^ u64(BigInt(view.getUint32(at, true)) * p1), 23n) * p2 + p3);
    at += 4;
  }
  for (; at < bytes.length; at++) hash = u64(rotate(hash ^ u64(BigInt(bytes[at]!) * p5), 11n) * p1);
  hash = u64((hash ^ (hash >> 33n)) * p2);
  hash = u64((hash ^ (hash >> 29n)) * p3);
  return hash ^ (hash >> 32n);
}

test("any bytes hash as specified", () => {
  const arbitrary = fc.uint8Array({ maxLength: 300, size: "max" });
  fc.assert(
    fc.property(arbitrary, (bytes) => expect(xxh64(bytes)).toBe(specified(bytes))),
    { numRuns: 300 },
  );
});

test("a prompt that needs more memory than any before, and the limit of blocks", () => {
  const large = Buffer.alloc(1_000_003, "large ");
  expect(hashChain(large, 1n, 64, Infinity)).toHaveLength(2 * Math.ceil(large.length / 256));
  expect([...hashChain(large, 1n, 64, 3)]).toEqual([...hashChain(large.subarray(0, 768), 1n, 64, Infinity)]);
});
