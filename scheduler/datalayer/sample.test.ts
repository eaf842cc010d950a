import { expect, test } from "@jest/globals";
import { readShared } from "../../test/corpus.ts";
import { DEFAULT_ENGINES, type EngineMetrics, engineOf, VLLM } from "./engines.ts";
import { metricSpec } from "../framework/metric-spec.ts";
import { isExposition, readSample } from "./sample.ts";

interface Expected {
  readonly engine: string;
  readonly error?: string;
  readonly waiting?: number;
  readonly running?: number;
  readonly kv?: number | null;
  readonly block_size?: number;
  readonly num_blocks?: number;
  readonly max_lora?: number;
  readonly running_loras?: readonly string[];
  readonly waiting_loras?: readonly string[];
  readonly sum_waiting?: number;
  readonly sum_running?: number;
  readonly mean_kv?: number;
}

const pages = JSON.parse(readShared("corpus/metrics/expected.json")) as Readonly<Record<string, Expected>>;
const page = (name: string): Buffer => Buffer.from(readShared(`corpus/metrics/${name}`));
const names = (set: ReadonlySet<string> | undefined): readonly string[] | undefined => set && [...set];

const readable = Object.entries(pages).filter(([, { error }]) => error === undefined);

test("the corpus has its pages", () => expect(readable.length).toBeGreaterThanOrEqual(13));

test.each(readable)("%s", (name, expected) => {
  const { sample, missing } = readSample(
    page(name),
    engineOf({ "llm-d.ai/engine-type": expected.engine }, DEFAULT_ENGINES),
  );
  expect({
    waiting: sample.waiting,
    running: sample.running,
    kv: sample.kvUsage,
    block_size: sample.cacheBlockSize,
    num_blocks: sample.cacheNumBlocks,
    max_lora: sample.maxActiveModels,
    running_loras: names(sample.activeModels),
    waiting_loras: names(sample.waitingModels),
  }).toMatchObject({
    waiting: expected.sum_waiting ?? expected.waiting,
    running: expected.sum_running ?? expected.running,
    kv: expected.mean_kv ?? expected.kv ?? undefined,
    ...(expected.block_size === undefined ? {} : { block_size: expected.block_size }),
    ...(expected.num_blocks === undefined ? {} : { num_blocks: expected.num_blocks }),
    ...(expected.max_lora === undefined ? {} : { max_lora: expected.max_lora }),
    ...(expected.running_loras === undefined ? {} : { running_loras: expected.running_loras }),
    ...(expected.waiting_loras === undefined ? {} : { waiting_loras: expected.waiting_loras }),
  });
  expect(missing).toEqual([]);
});

test("the engine of an old pod label, and of an unknown engine", () => {
  expect(engineOf({ "inference.networking.k8s.io/engine-type": "sglang" }, DEFAULT_ENGINES)).not.toBe(VLLM);
  expect(engineOf({ "llm-d.ai/engine-type": "other" }, DEFAULT_ENGINES)).toBe(VLLM);
  expect(engineOf({}, DEFAULT_ENGINES)).toBe(VLLM);
});

test("a page that is no exposition is told from an empty one", () => {
  expect(isExposition(page("trtllm-default-path.json.txt"))).toBe(false);
  expect(isExposition(Buffer.from("  <html>"))).toBe(false);
  expect(isExposition(page("vllm-current.txt"))).toBe(true);
  expect(isExposition(Buffer.from(""))).toBe(true);
});

const custom = (...metrics: readonly string[]): EngineMetrics => ({
  ...VLLM,
  custom: metrics.map((text, index) => ({ attribute: `a${index}`, metric: metricSpec(text) })),
});

test("custom metrics become attributes, missing ones are named", () => {
  const text = 'depth{queue="x",zone="1"} 4\ndepth{queue="y"} 7 1700000000000\ndepth{queue="y",old="1"} 9\n';
  const { sample, missing } = readSample(
    Buffer.from(text),
    custom("depth{queue=x}", "depth{queue=y}", "depth", "none"),
  );
  expect([...(sample.attributes ?? [])]).toEqual([
    ["a0", 4],
    ["a1", 7],
    ["a2", 7],
  ]); // prettier-ignore
  expect(missing).toEqual([
    "vllm:num_requests_waiting",
    "vllm:num_requests_running",
    "vllm:kv_cache_usage_perc",
    "none",
  ]);
});
