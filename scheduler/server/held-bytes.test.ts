import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { HeldBytes } from "./held-bytes.ts";
import { MemoryBudget, defaultCapacity } from "./memory-budget.ts";

/** Views of memory: of how many bytes it is, and where the views are cut. */
const memories = fc.array(
  fc.record({ size: fc.integer({ min: 1, max: 5000 }), cuts: fc.array(fc.nat(5000), { maxLength: 6 }) }),
  { maxLength: 8 },
);

function viewsOf({ size, cuts }: { size: number; cuts: readonly number[] }): Buffer[] {
  const memory = Buffer.allocUnsafeSlow(size).fill(size % 251);
  const at = [...new Set(cuts.map((cut) => cut % size))].sort((a, b) => a - b);
  return at.slice(1).map((end, index) => memory.subarray(at[index], end));
}

test("parts come out as they came in, and cost at most twice their bytes, a constant for each, and the newest memory", () => {
  fc.assert(
    fc.property(memories, fc.boolean(), (all, settles) => {
      const held = new HeldBytes();
      const parts: Buffer[] = [];
      let newest = 0;
      for (const memory of all)
        for (const view of viewsOf(memory)) {
          held.add(view);
          parts.push(view);
          newest = memory.size;
        }
      if (settles) held.settle();
      expect(held.costBytes).toBeLessThanOrEqual(2 * held.length + (settles ? 0 : newest) + 192 * parts.length);
      expect(held.length).toBe(Buffer.concat(parts).length);
      expect(held.take().equals(Buffer.concat(parts))).toBe(true);
      expect([held.length, held.costBytes]).toEqual([0, 0]);
    }),
  );
});

test("a large share of its memory is not copied, a small one is, however many views it has", () => {
  const memory = Buffer.allocUnsafeSlow(60_000);
  const held = new HeldBytes();
  held.add(memory.subarray(0, 20_000));
  held.add(memory.subarray(20_000, 40_000));
  held.settle();
  expect(held.costBytes).toBe(60_000 + 2 * 192);
  held.take();
  for (let at = 0; at < 40_000; at += 4) held.add(memory.subarray(at, at + 4));
  held.settle();
  expect(held.costBytes).toBe(40_000 + 192);
  held.take();
  held.add(memory.subarray(0, 10));
  held.settle();
  expect(held.take().buffer.byteLength).toBe(10);
});

test("a part of a budget has half, and the whole bounds all parts", () => {
  const whole = new MemoryBudget(100);
  const [one, two, three] = [whole.half(), whole.half(), whole.half()];
  expect([one.take(51), one.take(50), one.take(1), two.take(40), three.take(20), three.take(10)]).toEqual([
    false,
    true,
    false,
    true,
    false,
    true,
  ]);
  expect([one.usedBytes, two.usedBytes, three.usedBytes, whole.usedBytes]).toEqual([50, 40, 10, 100]);
  expect(whole.refusals).toBe(3);
  two.give(40);
  expect([whole.usedBytes, three.take(40)]).toEqual([60, true]);
});

test.each([
  ["the limit of a container", 2 ** 30, 2 ** 35, 2 ** 28],
  ["no limit, as the kernel says it", 2 ** 64, 2 ** 31, 2 ** 29],
  ["no limit known", 0, 2 ** 31, 2 ** 29],
  ["a large machine", 2 ** 64, 2 ** 40, 2 ** 30],
])("a budget by %s", (_name, limit, machine, bytes) => {
  expect(defaultCapacity(limit, machine)).toBe(bytes);
});
