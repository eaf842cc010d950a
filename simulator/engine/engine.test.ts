import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { BlockPool } from "./block-pool.ts";
import { Engine, type EngineLimits, LLAMA_8B_H100, stepDurationMs } from "./engine.ts";
import { createRandom } from "./random.ts";
import { hashBlocks, splitPieces, tokenize } from "./tokens.ts";

const LIMITS: EngineLimits = {
  numGpuBlocks: 101,
  blockSize: 16,
  maxNumSeqs: 8,
  maxNumBatchedTokens: 512,
  maxLoras: 1,
  enablePrefixCaching: true,
};

const range = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);

function runToEnd(engine: Engine, limit = 10_000): { steps: number; emitted: Map<string, number[]> } {
  const emitted = new Map<string, number[]>();
  let steps = 0;
  while (!engine.idle && steps < limit) {
    steps++;
    if (engine.beginStep() === undefined) break;
    for (const { id, index } of engine.endStep()) emitted.set(id, [...(emitted.get(id) ?? []), index]);
  }
  return { steps, emitted };
}

describe("engine", () => {
  test("a lone request needs one prefill step and one step for each further token", () => {
    const engine = new Engine(LIMITS);
    engine.submit({ id: "a", promptTokens: range(100), outputTokens: range(5), adapter: "" });
    const { steps, emitted } = runToEnd(engine);
    expect(steps).toBe(5);
    expect(emitted.get("a")).toEqual([0, 1, 2, 3, 4]);
    expect(engine.pool.usageRatio).toBe(0);
  });

  test("a prompt over the step budget is computed in chunks", () => {
    const engine = new Engine(LIMITS);
    engine.submit({ id: "a", promptTokens: range(1025), outputTokens: [1], adapter: "" });
    expect(runToEnd(engine).steps).toBe(3);
  });

  test("a repeated prompt hits all its full blocks but the one that holds its last token", () => {
    const engine = new Engine(LIMITS);
    const request = (id: string) => ({ id, promptTokens: range(64), outputTokens: [1], adapter: "" });
    engine.submit(request("a"));
    runToEnd(engine);
    engine.submit(request("b"));
    engine.beginStep();
    expect(engine.admissions).toEqual([{ id: "b", cachedTokens: 48 }]);
    expect(engine.counters).toMatchObject({ prefixQueryTokens: 128, prefixHitTokens: 48 });
  });

  test("adapters do not share cached blocks and take turns when the batch holds too many", () => {
    const engine = new Engine(LIMITS);
    for (const adapter of ["x", "y"])
      engine.submit({ id: adapter, promptTokens: range(64), outputTokens: [1, 2], adapter });
    engine.beginStep();
    expect(engine.adapters).toEqual({ running: ["x"], waiting: ["y"] });
    engine.endStep();
    runToEnd(engine);
    expect(engine.counters.prefixHitTokens).toBe(0);
  });

  test("when blocks run out the youngest request is preempted and still finishes", () => {
    const engine = new Engine({ ...LIMITS, numGpuBlocks: 9 });
    for (const id of ["a", "b"])
      engine.submit({ id, promptTokens: range(48, id.charCodeAt(0) * 1000), outputTokens: range(40), adapter: "" });
    const { emitted } = runToEnd(engine);
    expect(engine.counters.preemptions).toBeGreaterThan(0);
    expect(emitted.get("a")).toEqual(range(40));
    expect(emitted.get("b")).toEqual(range(40));
  });

  test("an aborted request gives its blocks back, running or waiting", () => {
    const engine = new Engine({ ...LIMITS, maxNumSeqs: 1 });
    for (const id of ["a", "b"]) engine.submit({ id, promptTokens: range(64), outputTokens: range(9), adapter: "" });
    engine.beginStep();
    engine.abort("b");
    engine.abort("a");
    expect(engine.endStep()).toEqual([]);
    expect(engine.idle).toBe(true);
    expect(engine.pool.freeBlocks).toBe(100);
  });

  test("any mix of requests ends with every token emitted once and every block free", () => {
    const requests = fc.array(
      fc.record({
        prompt: fc.integer({ min: 1, max: 300 }),
        output: fc.integer({ min: 1, max: 60 }),
        group: fc.integer({ min: 0, max: 2 }),
      }),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(requests, fc.integer({ min: 25, max: 60 }), (mix, numGpuBlocks) => {
        const engine = new Engine({ ...LIMITS, numGpuBlocks });
        for (const [index, { prompt, output, group }] of mix.entries())
          engine.submit({
            id: `${index}`,
            promptTokens: range(prompt, group * 10_000),
            outputTokens: range(output),
            adapter: "",
          });
        const { emitted } = runToEnd(engine, 50_000);
        for (const [index, { output }] of mix.entries()) expect(emitted.get(`${index}`)).toEqual(range(output));
        expect(engine.pool.freeBlocks).toBe(numGpuBlocks - 1);
      }),
      { numRuns: 60 },
    );
  });
});

test("step duration follows the linear model", () => {
  const work = { prefillTokens: 1000, attendedPairs: 500_000, decodeRequests: 10, contextTokens: 20_000 };
  expect(stepDurationMs(work, LLAMA_8B_H100)).toBeCloseTo(6.5 + 22 + 0.3 + 0.2 + 1.52, 6);
});

describe("block pool", () => {
  test("stored and removed hashes alternate for each hash under any use", () => {
    const operation = fc.record({
      hashes: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 6 }),
      keep: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const present = new Set<number>();
        const pool = new BlockPool(9, {
          onStored: (hash) => {
            expect(present.has(hash)).toBe(false);
            present.add(hash);
          },
          onRemoved: (hash) => expect(present.delete(hash)).toBe(true),
        });
        const held: number[][] = [];
        for (const { hashes, keep } of operations) {
          const blocks = pool.findPrefix(hashes, hashes.length);
          for (const block of blocks) pool.retain(block);
          for (const hash of hashes.slice(blocks.length)) {
            const block = pool.allocate();
            if (block === undefined) break;
            blocks.push(block);
            pool.store(block, hash);
          }
          held.push(blocks);
          if (!keep) for (const list of held.splice(0)) pool.release(list);
          const referenced = new Set(held.flat()).size;
          expect(referenced + pool.freeBlocks).toBe(8);
        }
      }),
    );
  });
});

describe("tokens", () => {
  test("pieces joined are the text", () => {
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => expect(splitPieces(text).join("")).toBe(text)));
  });

  test("block hashes agree exactly on the shared prefix", () => {
    const left = tokenize("one two three four five six seven eight");
    const right = [...left.slice(0, 6), 1, 2];
    const [a, b] = [hashBlocks(left, 2, ""), hashBlocks(right, 2, "")];
    expect(a.slice(0, 3)).toEqual(b.slice(0, 3));
    expect(a[3]).not.toBe(b[3]);
    expect(hashBlocks(left, 2, "adapter")[0]).not.toBe(a[0]);
  });
});

test("equal seeds give equal random sequences", () => {
  const [first, second] = [createRandom(7), createRandom(7)];
  expect(range(5).map(first)).toEqual(range(5).map(second));
});
