import { describe, expect, test } from "@jest/globals";
import { createMetricsRegistry } from "../telemetry/metrics.ts";
import { ManualClock } from "../test/manual-clock.ts";
import { Controller, type Reconcile, TerminalError } from "./controller.ts";
import { createControllerMetrics } from "./controller-metrics.ts";
import { KubeError, keyOf } from "./types.ts";

function start(reconcile: Reconcile, workers = 1) {
  const clock = new ManualClock();
  const registry = createMetricsRegistry();
  const metrics = createControllerMetrics(registry);
  const controller = new Controller({ name: "test", reconcile, workers, clock, metrics });
  controller.start();
  return { controller, clock, registry };
}

describe("controller", () => {
  test("reconciles each key, and again after the time it asks for", async () => {
    const seen: string[] = [];
    const { controller, clock } = start((key) => {
      seen.push(keyOf(key));
      return Promise.resolve(seen.length === 1 ? { requeueAfterMs: 1000 } : {});
    });
    controller.enqueue({ namespace: "n", name: "a" });
    await clock.advance(999);
    expect(seen).toEqual(["n/a"]);
    await clock.advance(1);
    await controller.whenIdle();
    expect(seen).toEqual(["n/a", "n/a"]);
    await controller.close();
  });

  test("a failure is repeated with back-off until it succeeds, which clears it", async () => {
    const times: number[] = [];
    const { controller, clock, registry } = start(() => {
      times.push(clock.now());
      return times.length % 4 === 0 ? Promise.resolve({}) : Promise.reject(new Error("no"));
    });
    controller.enqueue("n/a");
    await clock.advance(1000);
    controller.enqueue("n/a");
    await clock.advance(5);
    expect(times.map((time) => time - 1000)).toEqual([0, 5, 15, 35, 1000, 1005]);
    expect(await registry.render()).toContain('controller_runtime_reconcile_errors_total{controller="test"} 5');
    await controller.close();
  });

  test("a terminal failure waits for the next change", async () => {
    let calls = 0;
    const { controller, clock, registry } = start(() => {
      calls++;
      return Promise.reject(new TerminalError("invalid"));
    });
    controller.enqueue("n/a");
    await clock.advance(10_000);
    expect(calls).toBe(1);
    const page = await registry.render();
    expect(page).toContain('controller_runtime_reconcile_total{controller="test",result="error"} 1');
    expect(page).toContain('controller_runtime_terminal_reconcile_errors_total{controller="test"} 1');
    await controller.close();
  });

  test("its metrics have the names and meanings of controller-runtime's", async () => {
    const work = Promise.withResolvers<void>();
    const { controller, clock, registry } = start(() => work.promise.then(() => ({})));
    for (const key of ["n/a", "n/a", "n/b"]) controller.enqueue(key);
    await clock.advance(2_000);
    controller.enqueue("n/a");
    const during = await registry.render();
    for (const sample of [
      'workqueue_depth{name="test",controller="test"} 1',
      'workqueue_adds_total{name="test",controller="test"} 3',
      'workqueue_unfinished_work_seconds{name="test",controller="test"} 2',
      'workqueue_longest_running_processor_seconds{name="test",controller="test"} 2',
      'controller_runtime_active_workers{controller="test"} 1',
      'controller_runtime_max_concurrent_reconciles{controller="test"} 1',
    ])
      expect(during).toContain(`${sample}\n`);
    work.resolve();
    await controller.whenIdle();
    const after = await registry.render();
    for (const sample of [
      'workqueue_depth{name="test",controller="test"} 0',
      'workqueue_queue_duration_seconds_sum{name="test",controller="test"} 2',
      'workqueue_work_duration_seconds_count{name="test",controller="test"} 3',
      'workqueue_retries_total{name="test",controller="test"} 0',
      'controller_runtime_reconcile_total{controller="test",result="success"} 3',
      'controller_runtime_active_workers{controller="test"} 0',
    ])
      expect(after).toContain(`${sample}\n`);
    await controller.close();
  });

  test("a server's Retry-After sets the delay", async () => {
    const { controller, clock } = start(() =>
      Promise.reject(new KubeError({ code: 429, reason: "TooManyRequests", message: "wait", retryAfterSeconds: 9 })),
    );
    controller.enqueue("n/a");
    await clock.advance(0);
    expect(clock.pending).toEqual([9000]);
    await controller.close();
  });

  test("several workers share the keys, but never one key", async () => {
    const active = new Map<string, number>();
    let most = 0;
    let together = 0;
    const { controller } = start(async (key) => {
      const name = keyOf(key);
      active.set(name, (active.get(name) ?? 0) + 1);
      most = Math.max(most, active.get(name) ?? 0);
      together = Math.max(
        together,
        [...active.values()].reduce((sum, count) => sum + count, 0),
      );
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      active.set(name, (active.get(name) ?? 0) - 1);
      return {};
    }, 3);
    for (let round = 0; round < 20; round++) {
      for (const name of ["a", "b", "c", "d"]) controller.enqueue(name);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await controller.whenIdle();
    expect([most, together]).toEqual([1, 3]);
    await controller.close();
  });

  test("closing aborts what runs and drops what waits", async () => {
    const seen: string[] = [];
    const { controller, clock } = start(
      (key, { signal }) =>
        new Promise((_resolve, reject) => {
          seen.push(keyOf(key));
          signal.addEventListener("abort", () => reject(new Error("aborted")));
        }),
    );
    controller.enqueue("a");
    controller.enqueue("b");
    await clock.advance(0);
    await controller.close();
    expect(seen).toEqual(["a"]);
    expect(clock.pending).toEqual([]);
  });
});
