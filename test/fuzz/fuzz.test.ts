import { expect, test } from "@jest/globals";
import { listShared, readShared } from "../corpus.ts";
import { fuzz, type Target } from "./fuzz.ts";
import { bodyTarget, configTarget, decodeTarget, metricsTarget, streamTarget, usageTarget } from "./targets.ts";

const shared = (folder: string, suffix: string): Buffer[] =>
  listShared(folder, suffix).map((path) => Buffer.from(readShared(path)));

/** Attempts that take a fraction of a second; `make fuzz` makes millions. */
const TARGETS: readonly (readonly [() => Target, number])[] = [
  [streamTarget, 4000],
  [bodyTarget, 5000],
  [decodeTarget, 10_000],
  [usageTarget, 10_000],
  [() => metricsTarget(shared("corpus/metrics", ".txt")), 5000],
  [() => configTarget(shared("corpus/epp-configs", ".yaml")), 500],
];

test.each(TARGETS)(
  "%p stands damaged inputs",
  async (create, iterations) => {
    const { failures } = await fuzz(create(), { seed: 7, iterations, maxMs: 10_000 });
    expect(failures).toEqual([]);
  },
  60_000,
);

test("a failing attempt is told with its number, and comes again", async () => {
  const target: Target = {
    name: "t",
    attempt: (chance) => {
      if (chance() < 0.01) throw new Error("boom");
    },
  };
  const { failures } = await fuzz(target, { seed: 1, iterations: 1000, maxMs: 10_000 });
  const [first] = failures;
  expect(first?.message).toContain("boom");
  const again = await fuzz(target, { seed: 1, iterations: 1, maxMs: 10_000, first: first?.iteration ?? -1 });
  expect(again.failures).toHaveLength(1);
});

test("memory that stays is a failure", async () => {
  let bytes = 0;
  const target: Target = { name: "t", attempt: () => void (bytes += 1024 * 1024) };
  const limits = { seed: 1, iterations: 100, maxMs: 10_000 };
  const { failures, liveGrowthMiB } = await fuzz(target, { ...limits, liveBytes: () => bytes });
  expect(liveGrowthMiB).toBeGreaterThan(80);
  expect(failures.map(({ message }) => message)).toEqual([expect.stringContaining("live memory grew")]);
  expect((await fuzz(target, { ...limits, liveBytes: () => 5 })).failures).toEqual([]);
});
