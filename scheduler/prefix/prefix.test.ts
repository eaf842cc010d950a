import { describe, expect, test } from "@jest/globals";
import { readShared } from "../../test/corpus.ts";
import { chainSeed, hashChain } from "./hash-chain.ts";
import { xxh64 } from "./xxh64.ts";

const hex = (value: bigint): string => value.toString(16).padStart(16, "0");

function tokens(ids: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(ids).buffer);
}

function chain(prompt: Uint8Array, model: string, salt: string, block: number): bigint[] {
  const hashes: bigint[] = [];
  hashChain(prompt, chainSeed(model, salt), block, Infinity, (hash) => hashes.push(hash.toBigInt()));
  return hashes;
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
    expect(hex(xxh64(Buffer.from(text), 0, Buffer.byteLength(text)).toBigInt())).toBe(expected);
  });

  test("chains of the recorded vectors", () => {
    const { cases } = JSON.parse(readShared("corpus/vectors/approx-prefix-hash-current.json")) as Vectors;
    for (const { model, cache_salt, block_size_tokens, token_ids, seed_u64, blocks } of cases) {
      expect(String(chainSeed(model, cache_salt).toBigInt())).toBe(seed_u64);
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
