import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { BlockPool } from "./block-pool.ts";
import { Engine, type EngineLimits } from "./engine.ts";
import { createRandom } from "./random.ts";
import { LLAMA_8B_H100, LLAMA_8B_NDR, stepDurationMs, transferDurationMs } from "./step-costs.ts";
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
    const work = engine.beginStep();
    const { transfers } = engine;
    if (work === undefined && transfers.length === 0) break;
    for (const { id } of transfers) engine.endTransfer(id);
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

  describe("with prefill and decode apart", () => {
    const prompt = range(100);
    const decode = { id: "d", promptTokens: prompt, outputTokens: range(3), adapter: "", remotePrefill: true };

    test("a finished prefill holds its blocks until they are fetched", () => {
      const engine = new Engine(LIMITS);
      engine.submit({ id: "p", promptTokens: prompt, outputTokens: [1], adapter: "", remoteDecode: true });
      expect(runToEnd(engine).steps).toBe(1);
      expect(engine.heldBlocks("p")).toHaveLength(7);
      expect(engine.pool.freeBlocks).toBe(93);
      expect([engine.releaseHeld("p"), engine.releaseHeld("p")]).toEqual([true, false]);
      expect(engine.pool.freeBlocks).toBe(100);
    });

    test("a transferred prompt waits outside of the batch, is computed but for its last token, and is cached", () => {
      const engine = new Engine(LIMITS);
      engine.submit(decode);
      expect(engine.beginStep()).toBeUndefined();
      expect(engine.transfers).toEqual([{ id: "d", promptTokens: 100, missingTokens: 100 }]);
      expect([engine.waitingCount, engine.runningCount, engine.idle]).toEqual([1, 0, false]);
      expect(engine.pool.freeBlocks).toBe(93);
      engine.endTransfer("d");
      const work = { prefillTokens: 0, attendedPairs: 0, decodeRequests: 1, resumedRequests: 1, contextTokens: 99 };
      expect(engine.beginStep()).toEqual(work);
      expect(engine.admissions).toEqual([{ id: "d", cachedTokens: 99 }]);
      expect(engine.endStep()).toEqual([{ id: "d", index: 0, finished: false }]);
      expect(runToEnd(engine).emitted.get("d")).toEqual([1, 2]);
      engine.submit({ ...decode, id: "again" });
      engine.beginStep();
      expect(engine.transfers).toEqual([{ id: "again", promptTokens: 100, missingTokens: 4 }]);
      engine.endTransfer("again");
      runToEnd(engine);
      expect(engine.counters).toMatchObject({
        promptTokens: 200,
        prefixHitTokens: 96,
        externalQueryTokens: 104,
        externalHitTokens: 102,
      });
      expect(engine.pool.freeBlocks).toBe(100);
    });

    test("a transfer that finds no free blocks waits for them, and those behind it too", () => {
      const engine = new Engine({ ...LIMITS, numGpuBlocks: 8 });
      engine.submit({ id: "p", promptTokens: range(40, 500), outputTokens: [1], adapter: "", remoteDecode: true });
      runToEnd(engine);
      engine.submit(decode);
      engine.submit({ id: "b", promptTokens: [1], outputTokens: [1], adapter: "" });
      expect([engine.beginStep(), engine.transfers, engine.waitingCount]).toEqual([undefined, [], 2]);
      engine.releaseHeld("p");
      engine.beginStep();
      expect(engine.transfers).toMatchObject([{ id: "d" }]);
    });

    test("an aborted transfer gives its blocks back, and its end means nothing", () => {
      const engine = new Engine(LIMITS);
      engine.submit(decode);
      engine.beginStep();
      engine.abort("d");
      engine.endTransfer("d");
      expect([engine.idle, engine.pool.freeBlocks]).toEqual([true, 100]);
    });

    test("a preempted request computes the prompt that was transferred before", () => {
      const engine = new Engine({ ...LIMITS, numGpuBlocks: 9, enablePrefixCaching: false });
      engine.submit({ id: "a", promptTokens: range(16), outputTokens: range(40), adapter: "" });
      engine.submit({ ...decode, promptTokens: range(90, 500), outputTokens: range(20) });
      engine.beginStep();
      engine.endTransfer("d");
      engine.endStep();
      const { emitted } = runToEnd(engine);
      expect(engine.counters.preemptions).toBeGreaterThan(0);
      expect(emitted.get("d")).toEqual(range(20));
    });

    test.each([
      [0.5, 48, []],
      [0.8, 0, ["b"]],
    ])("a request that wants %f of its prompt cached gets %i cached tokens or is refused", (share, hits, refusals) => {
      const engine = new Engine(LIMITS);
      const request = { promptTokens: range(64), outputTokens: [1], adapter: "" };
      engine.submit({ ...request, id: "a" });
      runToEnd(engine);
      engine.submit({ ...request, id: "b", cacheHitThreshold: share });
      engine.beginStep();
      expect([engine.refusals, engine.counters.prefixHitTokens]).toEqual([refusals, hits]);
      expect(engine.waitingCount).toBe(0);
    });
  });

  test("any mix of requests ends with every token emitted once and every block free", () => {
    const requests = fc.array(
      fc.record({
        prompt: fc.integer({ min: 1, max: 300 }),
        output: fc.integer({ min: 1, max: 60 }),
        group: fc.integer({ min: 0, max: 2 }),
        remotePrefill: fc.boolean(),
      }),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(requests, fc.integer({ min: 25, max: 60 }), (mix, numGpuBlocks) => {
        const engine = new Engine({ ...LIMITS, numGpuBlocks });
        for (const [index, { prompt, output, group, remotePrefill }] of mix.entries())
          engine.submit({
            id: `${index}`,
            promptTokens: range(prompt, group * 10_000),
            outputTokens: range(output),
            adapter: "",
            remotePrefill,
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
  const work = {
    prefillTokens: 1000,
    attendedPairs: 500_000,
    decodeRequests: 10,
    resumedRequests: 0,
    contextTokens: 20_000,
  };
  expect(stepDurationMs(work, LLAMA_8B_H100)).toBeCloseTo(6.5 + 22 + 0.3 + 0.2 + 1.52, 6);
});

test("a transfer takes its set-up and the time of its bytes", () => {
  expect(transferDurationMs(10_000, LLAMA_8B_NDR)).toBeCloseTo(1 + 32.77, 2);
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
