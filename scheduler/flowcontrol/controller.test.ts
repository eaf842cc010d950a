import { describe, expect, test } from "@jest/globals";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { ManualClock } from "../../test/manual-clock.ts";
import { pluginOf, storeOf } from "../../test/scheduler/plugin-bench.ts";
import { loadConfig } from "../config/load.ts";
import type { Pipeline } from "../scheduling/pipeline.ts";
import { FlowController, type FlowRequest } from "./controller.ts";
import { createFlowMetrics } from "./flow-metrics.ts";
import { createSaturation } from "./saturation.ts";
import { flowSetupOf } from "./setup.ts";
import { registerUsageMetrics } from "./usage-metrics.ts";

const SECOND = 1000;

/** A controller over a pool whose saturation the test sets. Requests tell their names when they are through, or why not. */
function setUp(flowControl: object = {}, plugins: readonly object[] = []) {
  const { config, errors } = loadConfig({
    apiVersion: "llm-d.ai/v1alpha1",
    kind: "EndpointPickerConfig",
    featureGates: ["flowControl"],
    plugins: [{ type: "queue-scorer" }, ...plugins],
    flowControl,
  });
  if (config === undefined) throw new Error(JSON.stringify(errors));
  const { pipeline } = pluginOf("queue-scorer", undefined, { config });
  const setup = flowSetupOf(config, pipeline);
  const clock = new ManualClock();
  const pool = { saturation: 2, isEmpty: false, isOn: true };
  const registry = createMetricsRegistry();
  const controller = new FlowController({
    setup: () => (pool.isOn ? setup : undefined),
    saturation: () => pool.saturation,
    isEmpty: () => pool.isEmpty,
    metrics: createFlowMetrics(registry, "p"),
    clock,
  });
  const log: string[] = [];
  const ask = (id: string, parts: Partial<FlowRequest> = {}): void => {
    const request: FlowRequest = {
      id,
      fairnessId: "f",
      priority: 0,
      headers: new Map(),
      sizeBytes: 1,
      receivedAtMs: clock.now(),
      model: "m",
      targetModel: "m",
      signal: new AbortController().signal,
      ...parts,
    };
    const failed = (error: unknown): void => {
      const { httpStatus, droppedReason } = error as { readonly httpStatus: number; readonly droppedReason: string };
      log.push(`${id} ${httpStatus} ${droppedReason}`);
    };
    try {
      const waited = controller.admit(request);
      if (waited === undefined) log.push(id);
      else waited.then(() => void log.push(id), failed);
    } catch (error) {
      failed(error);
    }
  };
  return { controller, clock, pool, registry, log, ask };
}

describe("a pool with room", () => {
  test("lets requests through at once, without a timer", () => {
    const { clock, pool, log, ask, controller } = setUp();
    pool.saturation = 0.99;
    ask("a");
    expect([log, controller.waiting, clock.pending]).toEqual([["a"], 0, []]);
  });

  test("a full one holds them until there is room, the more important first", async () => {
    const { clock, pool, log, ask } = setUp();
    ask("low", { priority: -10 });
    ask("first");
    ask("second", { fairnessId: "g" });
    ask("high", { priority: 5 });
    await clock.advance(100);
    expect(log).toEqual([]);
    pool.saturation = 0.5;
    await clock.advance(10);
    expect(log).toEqual(["high", "first", "second", "low"]);
    expect(clock.pending).toEqual([]);
  });

  test("a band whose ceiling is reached stops all below it", async () => {
    const { clock, pool, log, ask } = setUp(
      { priorityBands: [{ priority: 100 }, { priority: -10 }], usageLimitPolicyPluginRef: "hold" },
      [{ name: "hold", type: "priority-holdback-policy", parameters: { minCeiling: 0.5 } }],
    );
    ask("zero");
    ask("low", { priority: -10 });
    pool.saturation = 0.6;
    await clock.advance(10);
    expect(log).toEqual(["zero"]);
    ask("other", { priority: 0 });
    await clock.advance(10);
    expect(log).toEqual(["zero", "other"]);
    pool.saturation = 0.4;
    await clock.advance(10);
    expect(log).toEqual(["zero", "other", "low"]);
  });

  test("a finished answer has the pool looked at anew", () => {
    const { controller, pool, ask } = setUp();
    ask("a");
    pool.saturation = 0;
    controller.wake();
    expect(controller.waiting).toBe(0);
  });

  test("a reload that turns flow control off lets all through", () => {
    const { controller, pool, ask } = setUp();
    ask("a");
    pool.isOn = false;
    controller.wake();
    expect(controller.waiting).toBe(0);
  });
});

describe("capacity", () => {
  const BAND = { defaultPriorityBand: { maxRequests: 2, maxBytes: 1000 } };
  test.each([
    [BAND, [600, 400], []],
    [BAND, [600, 401], ["b 429 rejected-saturated"]],
    [BAND, [600, 400, 0], ["c 429 rejected-saturated"]],
    [{ maxBytes: 999 }, [600, 400], ["b 429 rejected-saturated"]],
    [{ maxRequests: 1 }, [1, 1], ["b 429 rejected-saturated"]],
    [{ maxBytes: 10 }, [11], ["a 429 rejected-saturated"]],
  ])("%j, requests of %j bytes", (flowControl, sizes, expected) => {
    const { log, ask } = setUp(flowControl);
    sizes.forEach((sizeBytes, index) => ask("abc"[index]!, { sizeBytes }));
    expect(log).toEqual(expected);
  });

  test("a request too large for the queue is refused whatever room the pool has, and 503 tells that it is empty", () => {
    const { pool, log, ask } = setUp({ maxBytes: 10 });
    pool.saturation = 0;
    ask("a", { sizeBytes: 11 });
    pool.isEmpty = true;
    ask("b", { sizeBytes: 11 });
    expect(log).toEqual(["a 429 rejected-saturated", "b 503 rejected-no-endpoints"]);
  });

  test("who goes away leaves room at once", async () => {
    const { controller, clock, log, ask } = setUp({ maxRequests: 1 });
    const abort = new AbortController();
    ask("a", { signal: abort.signal });
    abort.abort();
    ask("b");
    await clock.advance(0);
    expect([log, controller.waiting]).toEqual([["a 503 rejected-context-cancelled"], 1]);
  });
});

describe("waiting too long", () => {
  const TTL = { defaultRequestTTL: "10s", noEndpointRequestTTL: "60s" };
  /** Seconds from the request on until it is refused. */
  async function refusedAfter(flowControl: object, change: (pool: { isEmpty: boolean }, second: number) => void) {
    const { clock, pool, log, ask } = setUp(flowControl);
    change(pool, -1);
    ask("a");
    for (let second = 0; second < 400; second++) {
      change(pool, second);
      await clock.advance(SECOND);
      if (log.length > 0) return [second, log[0]];
    }
    return "never";
  }
  test.each([
    ["a full pool", TTL, () => undefined, [10, "a 429 rejected-ttl-expired"]],
    [
      "an empty pool",
      TTL,
      (pool: { isEmpty: boolean }) => void (pool.isEmpty = true),
      [60, "a 503 rejected-no-endpoints"],
    ],
    [
      "a pool that ceases to be empty",
      TTL,
      (pool: { isEmpty: boolean }, second: number) => void (pool.isEmpty = second < 50),
      [60, "a 429 rejected-ttl-expired"],
    ],
    [
      "the fresh wait is a whole one",
      { defaultRequestTTL: "60s", noEndpointRequestTTL: "300s" },
      (pool: { isEmpty: boolean }, second: number) => void (pool.isEmpty = second < 290),
      [350, "a 429 rejected-ttl-expired"],
    ],
    ["no limit", { defaultRequestTTL: "0s" }, () => undefined, "never"],
  ])("%s", async (_, flowControl, change, expected) => {
    const found = await refusedAfter(flowControl, change);
    if (Array.isArray(found) && Array.isArray(expected)) {
      expect(Math.abs(Number(found[0]) - Number(expected[0]))).toBeLessThanOrEqual(1);
      expect(found[1]).toBe(expected[1]);
    } else expect(found).toBe(expected);
  });
});

test("the end of the process refuses what waits", async () => {
  const { controller, clock, log, ask } = setUp();
  ask("a");
  controller.close();
  await clock.advance(0);
  expect([log, clock.pending]).toEqual([["a 503 rejected-shutting-down"], []]);
});

test("metrics tell what waits, and what became of it", async () => {
  const { clock, pool, registry, ask } = setUp();
  ask("a", { sizeBytes: 7 });
  const flow = 'fairness_id="f",priority="0",inference_pool="p",model_name="m",target_model_name="m"';
  expect(await registry.render()).toContain(`llm_d_epp_flow_control_queue_bytes{${flow}} 7`);
  pool.saturation = 0;
  await clock.advance(10);
  const page = await registry.render();
  expect(page).toContain(`inference_extension_flow_control_queue_size{${flow}} 0`);
  expect(page).toContain(
    'llm_d_epp_flow_control_requests_total{outcome="Dispatched",priority="0",inference_pool="p"} 1',
  );
  expect(page).toMatch(/llm_d_epp_flow_control_request_queue_duration_seconds_count\{.*outcome="Dispatched".*\} 1/);
});

test("gauges tell how full the queues are", async () => {
  const { controller, pool, registry, ask } = setUp({
    maxRequests: 10,
    priorityBands: [{ priority: -1, maxRequests: 4, maxBytes: 100 }],
  });
  registerUsageMetrics(registry, "p", () => controller.usage());
  ask("a", { priority: -1, sizeBytes: 25 });
  ask("b", { priority: 7 });
  const page = await registry.render();
  for (const line of [
    'capacity_utilization_requests{priority="-1",inference_pool="p"} 0.25',
    'capacity_utilization_bytes{priority="-1",inference_pool="p"} 0.25',
    'capacity_utilization_requests{priority="0",inference_pool="p"} 0',
    'capacity_utilization_requests{priority="7",inference_pool="p"} 0.0002',
    'global_capacity_utilization_requests{inference_pool="p"} 0.2',
  ])
    expect(page).toContain(`llm_d_epp_flow_control_${line}`);
  expect(page).not.toContain("global_capacity_utilization_bytes{");
  expect(page).toContain("llm_d_epp_flow_control_dispatch_cycle_duration_seconds_count 2");
  pool.isOn = false;
  expect(await registry.render()).not.toContain("flow_control_capacity_utilization_requests{");
});

describe("saturation of the stages", () => {
  const role = (name: string | undefined, waiting: number, kvUsage: number) => ({
    waiting,
    kvUsage,
    ...(name === undefined ? {} : { labels: { "llm-d.ai/role": name } }),
  });
  test.each([
    [
      [role("prefill", 2, 0.1), role("decode", 4, 0.6), role("prefill-decode", 1, 0.72), role("encode", 50, 0)],
      [0.65, 0.85, 0.85],
    ],
    [[role(undefined, 1, 0)], [undefined, 0.2, 0.2]],
    [[role("encode", 2, 0)], [undefined, undefined, 0.4]],
    [[], [undefined, undefined, 1]],
  ])("case %#", (pool, [prefill, decode, effective]) => {
    const { pipeline }: { readonly pipeline: Pipeline } = pluginOf("queue-scorer", undefined, { pool });
    const found = createSaturation(
      storeOf(pool),
      () => pipeline,
      () => 1000,
    )();
    expect([found.prefill, found.decode].map((value) => value?.toFixed(6))).toEqual(
      [prefill, decode].map((value) => value?.toFixed(6)),
    );
    expect(found.effective).toBeCloseTo(effective!, 6);
  });
});
