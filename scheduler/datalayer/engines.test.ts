import { expect, test } from "@jest/globals";
import { readShared } from "../../test/corpus.ts";
import { engineOf, readSample, VLLM } from "./engines.ts";

interface Expected {
  readonly engine: string;
  readonly waiting?: number;
  readonly running?: number;
  readonly kv?: number;
  readonly block_size?: number;
  readonly running_loras?: readonly string[];
}

const pages = JSON.parse(readShared("corpus/metrics/expected.json")) as Readonly<Record<string, Expected>>;
const known = Object.entries(pages).filter(
  ([, page]) => ["vllm", "sglang"].includes(page.engine) && page.waiting !== undefined,
);

test.each(known)("%s", (name, expected) => {
  const engine = engineOf({ "llm-d.ai/engine-type": expected.engine }, VLLM);
  const sample = readSample(Buffer.from(readShared(`corpus/metrics/${name}`)), engine);
  expect([sample.waiting, sample.running, sample.kvUsage]).toEqual([expected.waiting, expected.running, expected.kv]);
  if (expected.block_size !== undefined) expect(sample.cacheBlockSize).toBe(expected.block_size);
  if (expected.running_loras !== undefined) expect([...(sample.activeModels ?? [])]).toEqual(expected.running_loras);
});
