import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { ManualClock } from "../test/manual-clock.ts";
import { RateLimiter } from "./rate-limiter.ts";
import { WorkQueue } from "./workqueue.ts";

describe("work queue", () => {
  test("a key waits once, and keys leave in the order they came", async () => {
    const queue = new WorkQueue({ clock: new ManualClock() });
    for (const key of ["a", "b", "a"]) queue.add(key);
    expect(queue.length).toBe(2);
    expect([await queue.get(), await queue.get()]).toEqual(["a", "b"]);
  });

  test("a key that is added while it is worked on comes again after done", async () => {
    const queue = new WorkQueue({ clock: new ManualClock() });
    queue.add("a");
    await queue.get();
    queue.add("a");
    expect(queue.length).toBe(0);
    queue.done("a");
    expect(await queue.get()).toBe("a");
  });

  test("an urgent key leaves first, and stays urgent when it was added while worked on", async () => {
    const queue = new WorkQueue({ clock: new ManualClock() });
    for (const key of ["a", "b", "c"]) queue.add(key);
    queue.add("c", true);
    expect([queue.length, await queue.get()]).toEqual([3, "c"]);
    queue.add("c", true);
    queue.add("c");
    queue.done("c");
    expect([await queue.get(), await queue.get(), await queue.get()]).toEqual(["c", "a", "b"]);
  });

  test("a waiting worker gets a key as soon as it is added", async () => {
    const queue = new WorkQueue({ clock: new ManualClock() });
    const waiting = queue.get();
    queue.add("a");
    expect(await waiting).toBe("a");
  });

  test("of two delays of a key the earlier counts", async () => {
    const clock = new ManualClock();
    const queue = new WorkQueue({ clock });
    queue.addAfter("a", 500);
    queue.addAfter("a", 100);
    queue.addAfter("a", 900);
    await clock.advance(99);
    expect(queue.length).toBe(0);
    await clock.advance(1);
    expect(queue.length).toBe(1);
    expect(clock.pending).toEqual([]);
  });

  test("after shut-down what is ready is handed out, then nothing; delays are dropped", async () => {
    const clock = new ManualClock();
    const queue = new WorkQueue({ clock });
    queue.add("a");
    queue.addAfter("b", 10);
    queue.shutDown();
    queue.add("c");
    await clock.advance(20);
    expect([await queue.get(), await queue.get()]).toEqual(["a", undefined]);
    expect(queue.idle).toBe(false);
    queue.done("a");
    expect(queue.idle).toBe(true);
  });
});

describe("rate limiter", () => {
  test("each key backs off on its own, doubling from 5 ms", () => {
    const limiter = new RateLimiter(0);
    expect([1, 2, 3, 4].map(() => limiter.delay("a", 0))).toEqual([5, 10, 20, 40]);
    expect(limiter.delay("b", 0)).toBe(5);
    limiter.forget("a");
    expect(limiter.delay("a", 0)).toBe(5);
  });

  test("a key waits 1,000 s at most", () => {
    const limiter = new RateLimiter(0);
    for (let count = 0; count < 40; count++) limiter.delay("a", count * 1e6);
    expect(limiter.delay("a", 1e9)).toBe(1_000_000);
  });

  test("beyond a burst of 100 all keys share 10 per second", () => {
    const limiter = new RateLimiter(0);
    for (let count = 0; count < 100; count++) limiter.delay(`key-${count}`, 0);
    expect(limiter.delay("x", 0)).toBeCloseTo(100);
    expect(limiter.delay("y", 0)).toBeCloseTo(200);
    expect(limiter.delay("z", 1_000_000)).toBe(5);
  });
});

type Step =
  | { readonly kind: "add" | "done"; readonly key: string }
  | { readonly kind: "get" }
  | { readonly kind: "delay"; readonly key: string; readonly ms: number }
  | { readonly kind: "wait"; readonly ms: number };

const keys = fc.constantFrom("a", "b", "c", "d");
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom("add", "done"), key: keys }),
    fc.record({ kind: fc.constant("get") }),
    fc.record({ kind: fc.constant("delay"), key: keys, ms: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ kind: fc.constant("wait"), ms: fc.integer({ min: 1, max: 15 }) }),
  ) as fc.Arbitrary<Step>,
  { maxLength: 60 },
);

/** client-go's queue in its plainest form: an ordered list, a dirty set, a processing set, due times. */
class Model {
  queue: string[] = [];
  dirty = new Set<string>();
  processing = new Set<string>();
  due = new Map<string, number>();
  now = 0;

  add(key: string): void {
    if (this.dirty.has(key)) return;
    this.dirty.add(key);
    if (!this.processing.has(key)) this.queue.push(key);
  }

  get(): string | undefined {
    const key = this.queue.shift();
    if (key === undefined) return undefined;
    this.dirty.delete(key);
    this.processing.add(key);
    return key;
  }

  done(key: string): void {
    if (this.processing.delete(key) && this.dirty.has(key)) this.queue.push(key);
  }

  delay(key: string, ms: number): void {
    this.due.set(key, Math.min(this.due.get(key) ?? Infinity, this.now + ms));
  }

  wait(ms: number): void {
    this.now += ms;
    const ripe = [...this.due].filter(([, at]) => at <= this.now).sort((a, b) => a[1] - b[1]);
    for (const [key] of ripe) this.due.delete(key);
    for (const [key] of ripe) this.add(key);
  }
}

test("any sequence of calls hands out the same keys as the model", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const clock = new ManualClock();
      const queue = new WorkQueue({ clock });
      const model = new Model();
      for (const step of sequence) await apply(step, queue, model, clock);
      while (queue.length > 0) expect(await queue.get()).toBe(model.get());
      expect(model.get()).toBeUndefined();
    }),
    // Keys that fall due at the same moment may leave in any order: keep them apart by what fast-check finds smallest.
    { numRuns: 150, examples: [[[{ kind: "add", key: "a" }, { kind: "get" }, { kind: "add", key: "a" }]]] },
  );
});

async function apply(step: Step, queue: WorkQueue, model: Model, clock: ManualClock): Promise<void> {
  switch (step.kind) {
    case "add":
      queue.add(step.key);
      return model.add(step.key);
    case "done":
      queue.done(step.key);
      return model.done(step.key);
    case "get":
      if (queue.length === 0) return expect(model.queue).toEqual([]);
      return expect(await queue.get()).toBe(model.get());
    case "delay": {
      if ([...model.due.values()].includes(model.now + step.ms)) return;
      queue.addAfter(step.key, step.ms);
      return model.delay(step.key, step.ms);
    }
    case "wait":
      await clock.advance(step.ms);
      return model.wait(step.ms);
  }
}
