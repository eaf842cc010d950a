import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "../../test/manual-clock.ts";
import { createLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import { Activity } from "./activity.ts";
import { EndpointStore } from "./endpoint-store.ts";
import { DEFAULT_ENGINES } from "./engines.ts";
import { ScrapeError } from "./scrape-error.ts";
import { createScrapeMetrics } from "./scrape-metrics.ts";
import { startScraper } from "./scraper.ts";

const endpoint = (name: string): EndpointMetadata => ({
  namespace: "ns",
  podName: name,
  name,
  address: "10.0.0.1",
  port: 8000,
  hostPort: `${name}:8000`,
  labels: {},
  rank: 0,
  metricsHost: `${name}:8000`,
  nodeAddress: "",
});

const page = (waiting: number): Buffer =>
  Buffer.from(`vllm:num_requests_waiting ${waiting}\nvllm:num_requests_running 1\nvllm:kv_cache_usage_perc 0.5\n`);

/** A scraper at 50 ms busy and 1 s idle over pages that the test answers with. */
function setUp(answer: (name: string) => Buffer | ScrapeError | Promise<Buffer>) {
  const clock = new ManualClock();
  const store = new EndpointStore();
  const activity = new Activity();
  const registry = createMetricsRegistry();
  const asked: string[] = [];
  const lines: string[] = [];
  const logger = createLogger({ verbosity: 3, write: (text) => void lines.push(text) });
  const stop = startScraper({
    store,
    pages: {
      fetch: async ({ name }) => {
        asked.push(name);
        const page = answer(name);
        if (page instanceof ScrapeError) throw page;
        return page;
      },
      close: () => {},
    },
    engines: DEFAULT_ENGINES,
    pace: { intervalMs: 50, idleIntervalMs: 1000 },
    activity,
    metrics: createScrapeMetrics(registry),
    clock,
    logger,
  });
  return { clock, store, activity, registry, asked, lines, logger, stop };
}

describe("the first request after a pause", () => {
  test("waits until all pages are read again, and no longer than an interval", async () => {
    let waiting = 1;
    const held = Promise.withResolvers<Buffer>();
    const { clock, store, activity, asked, stop } = setUp((name) =>
      name === "slow" && waiting > 1 ? held.promise : page(waiting),
    );
    const slots = ["a", "slow"].map((name) => store.upsert(endpoint(name)));
    await clock.advance(5000);
    waiting = 7;
    asked.length = 0;
    let isFresh = false;
    void activity.touch(clock.now())?.then(() => (isFresh = true));
    await clock.advance(0);
    expect(asked).toEqual(["a", "slow"]);
    expect([store.waiting[slots[0]!], isFresh]).toEqual([7, false]);
    await clock.advance(49);
    expect(isFresh).toBe(false);
    await clock.advance(1);
    expect(isFresh).toBe(true);
    expect(activity.touch(clock.now())).toBeUndefined();
    held.resolve(page(9));
    stop();
  });

  test("does not wait for what was just read, nor for an endpoint at fault", async () => {
    const { clock, store, activity, stop } = setUp((name) =>
      name === "bad" ? new ScrapeError("status", "no") : page(1),
    );
    store.upsert(endpoint("bad"));
    await clock.advance(5000);
    const done = activity.touch(clock.now());
    expect(done).toBeUndefined();
    stop();
  });

  test("requests that come meanwhile wait as well", async () => {
    const { clock, store, activity, stop } = setUp(() => page(1));
    store.upsert(endpoint("a"));
    await clock.advance(5000);
    const first = activity.touch(clock.now());
    expect(first).toBeInstanceOf(Promise);
    expect(activity.touch(clock.now())).toBe(first);
    await clock.advance(0);
    await first;
    stop();
  });
});

describe("pace", () => {
  test("an idle pool is read once a second", async () => {
    const { clock, store, asked, stop } = setUp(() => page(1));
    const slot = store.upsert(endpoint("a"));
    await clock.advance(10_000);
    expect(asked.length).toBe(10);
    expect([store.waiting[slot], store.kvUsage[slot]]).toEqual([1, 0.5]);
    stop();
  });

  test("a request makes the pool busy: all values are new within one interval, and never older than it", async () => {
    const { clock, store, activity, stop } = setUp(() => page(1));
    const slots = ["a", "b", "c"].map((name) => store.upsert(endpoint(name)));
    await clock.advance(1900);
    void activity.touch(clock.now());
    await clock.advance(50);
    for (let step = 0; step < 400; step++) {
      void activity.touch(clock.now());
      await clock.advance(5);
      for (const slot of slots) expect(clock.now() - store.updatedAtMs[slot]!).toBeLessThanOrEqual(50);
    }
    stop();
  });

  test("two seconds after the last request it is idle again", async () => {
    const { clock, store, activity, asked, stop } = setUp(() => page(1));
    store.upsert(endpoint("a"));
    void activity.touch(clock.now());
    await clock.advance(2100);
    const before = asked.length;
    expect(before).toBeGreaterThan(38);
    await clock.advance(5000);
    expect(asked.length - before).toBeLessThanOrEqual(6);
    stop();
  });

  test("an endpoint is never asked twice at once, and a slow one as often as it can", async () => {
    let open = 0;
    let most = 0;
    const { clock, store, activity, asked, stop } = setUp(async () => {
      most = Math.max(most, ++open);
      await new Promise<void>((resolve) => clock.after(120, resolve));
      open--;
      return page(1);
    });
    store.upsert(endpoint("a"));
    for (let step = 0; step < 20; step++) {
      void activity.touch(clock.now());
      await clock.advance(50);
    }
    expect(most).toBe(1);
    expect(asked.length).toBeGreaterThanOrEqual(8);
    stop();
  });

  test("faults are repeated at growing intervals up to a second, Retry-After counts, and values stay", async () => {
    let answer: Buffer | ScrapeError = page(4);
    const { clock, store, activity, asked, stop } = setUp(() => answer);
    const slot = store.upsert(endpoint("a"));
    const run = async (ms: number): Promise<number> => {
      const before = asked.length;
      for (let at = 0; at < ms; at += 50) {
        void activity.touch(clock.now());
        await clock.advance(50);
      }
      return asked.length - before;
    };
    await run(200);
    answer = new ScrapeError("unreachable", "refused");
    await run(3000);
    expect(await run(10_000)).toBeLessThanOrEqual(11);
    expect(store.waiting[slot]).toBe(4);
    answer = new ScrapeError("status", "status 429", { retryAfterMs: 5000 });
    await run(1000);
    expect(await run(10_000)).toBe(2);
    answer = page(5);
    await run(6000);
    expect(store.waiting[slot]).toBe(5);
    expect(await run(1000)).toBeGreaterThan(15);
    stop();
  });
});

test("an endpoint that is gone is not asked again, and a late page changes nothing", async () => {
  let release: (page: Buffer) => void = () => {};
  const { clock, store, asked, stop } = setUp(() => new Promise<Buffer>((resolve) => void (release = resolve)));
  const slot = store.upsert(endpoint("a"));
  await clock.advance(50);
  store.remove("ns/a");
  store.upsert(endpoint("b"));
  release(page(9));
  await clock.advance(0);
  expect([store.waiting[slot], store.updatedAtMs[slot]]).toEqual([0, 0]);
  await clock.advance(5000);
  expect(asked.filter((name) => name === "a")).toHaveLength(1);
  stop();
  expect(clock.pending).toEqual([]);
});

test("outcomes are counted and told once", async () => {
  let answer: Buffer | ScrapeError = page(1);
  const { clock, store, registry, lines, logger, stop } = setUp(() => answer);
  store.upsert(endpoint("a"));
  await clock.advance(1000);
  answer = Buffer.from("[{}]");
  await clock.advance(3000);
  answer = Buffer.from("vllm:num_requests_waiting 1\n");
  await clock.advance(2000);
  answer = page(2);
  await clock.advance(2000);
  stop();
  const text = await registry.render();
  expect(text).toContain('endpoint_picker_scrapes_total{outcome="not-metrics"} 3');
  expect(text).toMatch(/llm_d_epp_datalayer_poll_errors_total\{source_type="metrics-data-source"\} 3/);
  expect(text).toMatch(/llm_d_inference_scheduler_datalayer_extract_errors_total\{.*core-metrics-extractor"\} 2/);
  logger.flush();
  const told = lines
    .join("")
    .split("\n")
    .filter((line) => line.includes("metrics of an endpoint")); // prettier-ignore
  expect(told.map((line) => (JSON.parse(line) as { problem?: string }).problem)).toEqual([
    "the page is no Prometheus text; is its path right?",
    "page without vllm:num_requests_running, vllm:kv_cache_usage_perc",
    undefined,
  ]);
});
