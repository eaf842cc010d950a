import { describe, expect, test } from "@jest/globals";
import type { QueuedRequest } from "../framework/plugin.ts";
import { pluginOf } from "../../test/scheduler/plugin-bench.ts";

const queued = (parts: Partial<QueuedRequest> = {}): QueuedRequest => ({
  id: "r",
  fairnessId: "f",
  priority: 0,
  headers: new Map(),
  sizeBytes: 1,
  receivedAtMs: 0,
  enqueuedAtMs: 0,
  ttlMs: 60_000,
  ...parts,
});
const sixDigits = (values: Iterable<number>): number[] => Array.from(values, (value) => Math.round(value * 1e6) / 1e6);

describe("usage limits", () => {
  const ceilings = (
    bench: ReturnType<typeof pluginOf>,
    saturation: number,
    priorities: readonly number[],
  ): number[] => {
    const out = new Float64Array(priorities.length).fill(1);
    bench.plugin.ceilings?.(saturation, priorities, out);
    return sixDigits(out);
  };
  const BANDS = [100, 10, 0, -10];

  test.each([
    [{ minCeiling: 0.5 }, BANDS, [1, 0.833333, 0.666667, 0.5]],
    [{ minCeiling: 0.5, domain: "value" }, BANDS, [1, 0.590909, 0.545455, 0.5]],
    [{ minCeiling: 0.3, maxCeiling: 0.9 }, BANDS, [0.9, 0.7, 0.5, 0.3]],
    [{ minCeiling: 0.3, maxCeiling: 0.9, domain: "value" }, BANDS, [0.9, 0.409091, 0.354545, 0.3]],
    [{ minCeiling: 0.3, maxCeiling: 0.9 }, [0], [0.9]],
    [{ minCeiling: 0.3, maxCeiling: 0.9, domain: "value" }, [0], [0.9]],
  ])("priority-holdback-policy %j", (parameters, priorities, expected) => {
    expect(ceilings(pluginOf("priority-holdback-policy", parameters), 0.5, priorities)).toEqual(expected);
  });

  test("static-usage-limit-policy", () => {
    expect(ceilings(pluginOf("static-usage-limit-policy"), 3, BANDS)).toEqual([1, 1, 1, 1]);
    expect(ceilings(pluginOf("static-usage-limit-policy", { threshold: 0.7 }), 0, BANDS)).toEqual([0.7, 0.7, 0.7, 0.7]);
  });

  const [open, shut] = [
    [1, 1, 1],
    [1, 0, 0],
  ];
  test.each([
    [0.3, [open, open, open]],
    [0.6, [open, open, open]],
    [0.7, [shut, open, shut]],
    [0.75, [shut, shut, open]],
    [0.9, [shut, shut, shut, shut, shut, shut, shut, shut, open]],
    [1, [shut, shut, shut]],
  ])("soft-reflective-ceiling-policy at saturation %d", (saturation, calls) => {
    const bench = pluginOf("soft-reflective-ceiling-policy");
    for (const expected of calls) expect(ceilings(bench, saturation, [1, 0, -1])).toEqual(expected);
    expect(ceilings(bench, saturation, [0])).toEqual([1]);
  });
});

test.each([
  ["fcfs-ordering-policy", ["r1", "r2", "r3", "r4"]],
  ["edf-ordering-policy", ["r3", "r1", "r2", "r4"]],
  ["slo-deadline-ordering-policy", ["r3", "r2", "r4", "r1"]],
])("%s", (type, expected) => {
  const slo = (ms: string) => new Map([["x-llm-d-slo-ttft-ms", ms]]);
  const requests = [
    queued({ id: "r1" }),
    queued({ id: "r2", headers: slo("500") }),
    queued({ id: "r3", headers: slo("400"), ttlMs: 5000 }),
    queued({ id: "r4", headers: slo("2000"), ttlMs: 0 }),
  ].map((request, index) => ({ ...request, enqueuedAtMs: index * 10, receivedAtMs: index * 10 }));
  const { plugin } = pluginOf(type);
  const keyed = requests.map((request) => ({ id: request.id, key: plugin.orderKey?.(request) ?? NaN }));
  expect(keyed.toSorted((a, b) => a.key - b.key).map(({ id }) => id)).toEqual(expected);
});

describe("fairness", () => {
  const flow = (id: string, headKey = 0, enqueuedAtMs = 0) => ({
    id,
    headKey,
    head: queued({ fairnessId: id, enqueuedAtMs }),
  });
  const chooser = (bench: ReturnType<typeof pluginOf>, nowMs = 1000) => {
    return (flows: readonly ReturnType<typeof flow>[]): string =>
      flows[bench.plugin.chooseFlow?.({ priority: 0, flows, nowMs }) ?? -1]?.id ?? "none";
  };

  test("global-strict-fairness-policy serves the most urgent head, of equal ones the oldest", () => {
    const choose = chooser(pluginOf("global-strict-fairness-policy"));
    expect(choose([flow("a", 3), flow("b", 1), flow("c", 2)])).toBe("b");
    expect(choose([flow("a", Infinity, 9), flow("b", Infinity, 4)])).toBe("b");
  });

  test("round-robin-fairness-policy goes on after the flow that was served", () => {
    const choose = chooser(pluginOf("round-robin-fairness-policy"));
    const [a, c, d] = [flow("a"), flow("c"), flow("d")];
    expect([choose([d, a, c]), choose([d, a, c]), choose([d, a]), choose([a])]).toEqual(["a", "c", "d", "a"]);
    expect(choose([c, a])).toBe("c");
  });

  describe("program-aware-fairness", () => {
    const served = (tokens: readonly number[], lasHalfLifeSeconds = 0) => {
      const bench = pluginOf("program-aware-fairness", { lasHalfLifeSeconds }, { now: () => clock.nowMs });
      tokens.forEach((promptTokens, index) => complete(bench, "abc"[index]!, promptTokens, 0));
      return bench;
    };
    const clock = { nowMs: 0 };
    const complete = (
      bench: ReturnType<typeof pluginOf>,
      fairnessId: string,
      promptTokens: number,
      completionTokens: number,
    ) => {
      const usage = { promptTokens, completionTokens, totalTokens: undefined, cachedTokens: undefined };
      bench.plugin.onComplete?.({ request: { fairnessId } } as never, { usage } as never);
    };
    test.each([
      [[1000, 4000, 2000], [10, 500, 900], "a"],
      [[1000, 1000], [10, 500], "b"],
      [[2000, 1800], [5000, 100], "b"],
    ])("service %j, waits %j", (tokens, waits, expected) => {
      clock.nowMs = 10_000;
      const choose = chooser(served(tokens), 10_000);
      expect(choose(waits.map((wait, index) => flow("abc"[index]!, 0, 10_000 - wait)))).toBe(expected);
    });

    test("service fades, and answers cost twice", () => {
      clock.nowMs = 0;
      const bench = served([1000], 60);
      clock.nowMs = 30_000;
      complete(bench, "a", 300, 200);
      // 1407.106781 now: just below b, just above c.
      complete(bench, "b", 1407.2, 0);
      complete(bench, "c", 1407.1, 0);
      const choose = chooser(bench, 30_000);
      expect(choose([flow("a", 0, 0), flow("b", 0, 0)])).toBe("a");
      expect(choose([flow("a", 0, 0), flow("c", 0, 0)])).toBe("c");
    });
  });
});
