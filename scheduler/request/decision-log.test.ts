import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createLogger, silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { incomingRequest } from "../../test/scheduler/requests.ts";
import { loadConfig } from "../config/load.ts";
import { EndpointStore } from "../datalayer/endpoint-store.ts";
import { SeededRandom } from "../framework/random.ts";
import { PLUGINS } from "../plugins/registry.ts";
import { createPipeline } from "../scheduling/pipeline.ts";
import { recomputePick } from "../scheduling/recompute.ts";
import type { DecisionTrace, ProfileTrace } from "../scheduling/trace.ts";
import { DecisionLog, type DecisionSummary } from "./decision-log.ts";
import { createDirector } from "./director.ts";
import type { IncomingRequest } from "./types.ts";

interface Pod {
  readonly waiting: number;
  readonly running: number;
  readonly kvUsage: number;
  readonly role: string;
  /** -1: never read. */
  readonly ageMs: number;
}

const NOW = 100_000;

function storeOf(pods: readonly Pod[]): EndpointStore {
  const store = new EndpointStore();
  pods.forEach(({ role, ageMs, ...sample }, index) => {
    const podName = `pod-${index}`;
    const hostPort = `10.0.0.${index}:8000`;
    const place = { address: `10.0.0.${index}`, port: 8000, hostPort, metricsHost: hostPort, nodeAddress: "", rank: 0 };
    const labels = { "llm-d.ai/role": role };
    const slot = store.upsert({ namespace: "ns", podName, name: `${podName}-rank-0`, labels, ...place });
    if (ageMs >= 0) store.update(slot, store.generation[slot]!, sample, NOW - ageMs);
  });
  return store;
}

interface SetUp {
  readonly config?: object;
  readonly seed?: number;
  readonly sampling?: number;
  readonly verbosity?: number;
}

function setUp(store: EndpointStore, { config, seed = 1, sampling = 0, verbosity }: SetUp = {}) {
  const lines: string[] = [];
  const write = (text: string): void => void lines.push(...text.trim().split("\n"));
  const root = verbosity === undefined ? undefined : createLogger({ verbosity, write });
  const logger = root ?? silentLogger;
  /** What was logged so far, by lines. */
  const written = (): readonly Readonly<Record<string, unknown>>[] => {
    root?.flush();
    return lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  };
  const loaded = loadConfig(config);
  if (loaded.config === undefined) throw new Error(JSON.stringify(loaded.errors));
  const random = new SeededRandom(seed);
  const metrics = createMetricsRegistry();
  const pipeline = createPipeline({ config: loaded.config, endpoints: store, random, logger: silentLogger, metrics });
  const decisions = new DecisionLog({
    logger,
    staleAfterMs: 2000,
    sampling,
    random: new SeededRandom(seed),
    originMs: Date.parse("2026-01-01T00:00:00Z"),
  });
  const director = createDirector({ store, pipeline: () => pipeline, logger, now: () => NOW, decisions });
  return { director, decisions, written };
}

const request = (id: string, prompt = "hello", headers: Readonly<Record<string, string>> = {}): IncomingRequest =>
  incomingRequest(prompt, { id, headers: new Map(Object.entries(headers)) });

const pod = (values: Partial<Pod> = {}): Pod => ({
  waiting: 0,
  running: 0,
  kvUsage: 0,
  role: "both",
  ageMs: 10,
  ...values,
});

/** The picker that a trace names. */
function pickerOf({ picker }: ProfileTrace) {
  const definition = PLUGINS.get(picker?.type ?? "");
  // Pickers take nothing of their context.
  return definition?.create?.(picker?.parameters, undefined as never) as Parameters<typeof recomputePick>[1];
}

describe("a trace", () => {
  const SCORERS = [
    "queue-scorer",
    "kv-cache-utilization-scorer",
    "running-requests-size-scorer",
    "prefix-cache-scorer",
    "no-hit-lru-scorer",
    "load-aware-scorer",
  ]; // prettier-ignore
  const pods = fc.array(
    fc.record({
      waiting: fc.nat(4),
      running: fc.nat(4),
      kvUsage: fc.double({ min: 0, max: 1, noNaN: true }),
      role: fc.constantFrom("both", "decode", "prefill"),
      ageMs: fc.constantFrom(-1, 0, 10, 1999, 2001, 60_000),
    }),
    { minLength: 1, maxLength: 40 },
  );
  const scorers = fc.uniqueArray(
    fc.record({ pluginRef: fc.constantFrom(...SCORERS), weight: fc.double({ min: -1, max: 5, noNaN: true }) }),
    { selector: ({ pluginRef }) => pluginRef, maxLength: 4 },
  );
  const picker = fc.record({
    type: fc.constantFrom("max-score-picker", "random-picker", "weighted-random-picker"),
    parameters: fc.record({ maxNumOfEndpoints: fc.integer({ min: 1, max: 4 }) }),
  });
  const cases = fc.record({
    pods,
    scorers,
    picker,
    filter: fc.boolean(),
    seed: fc.integer(),
    prompts: fc.array(fc.constantFrom("a".repeat(600), "b".repeat(600), "c"), { minLength: 1, maxLength: 4 }),
  });

  test("suffices to repeat every pick bit by bit, over any fleet and configuration", () => {
    let picks = 0;
    fc.assert(
      fc.property(cases, ({ pods, scorers, picker, filter, seed, prompts }) => {
        const names = [...(filter ? ["decode-filter"] : []), ...scorers.map(({ pluginRef }) => pluginRef)];
        const config = {
          apiVersion: "llm-d.ai/v1alpha1",
          kind: "EndpointPickerConfig",
          plugins: [...names.map((type) => ({ type })), picker],
          schedulingProfiles: [
            {
              name: "default",
              plugins: [...(filter ? [{ pluginRef: "decode-filter" }] : []), ...scorers, { pluginRef: picker.type }],
            },
          ],
        };
        const { director, decisions } = setUp(storeOf(pods), { config, seed });
        prompts.forEach((prompt, index) => {
          let destination: string | undefined;
          try {
            destination = (director.handle(request(`r${index}`, prompt)) as { destination: string }).destination;
          } catch {
            destination = undefined;
          }
          const trace = JSON.parse(JSON.stringify(decisions.find(`r${index}`))) as DecisionTrace;
          expect(trace.destinations.join(",")).toBe(destination ?? "");
          for (const profile of trace.profiles) {
            expect(recomputePick(profile, pickerOf(profile))).toEqual(profile.targets);
            expect(new Set(profile.candidates.map(({ endpoint }) => endpoint)).size).toBe(pods.length);
            expect(profile.candidates.filter(({ verdict }) => verdict === "picked")).toHaveLength(
              profile.targets.length,
            );
            picks += profile.targets.length;
          }
          if (destination === undefined) expect(trace.refusal?.message).toContain("no endpoints available");
        });
      }),
      { numRuns: 120 },
    );
    expect(picks).toBeGreaterThan(120);
  });

  test("says who was removed by what, how old the inputs were, and what spoke for the pick", () => {
    const store = storeOf([
      pod({ role: "prefill" }),
      pod({ waiting: 4, kvUsage: 0.5 }),
      pod({ ageMs: 5000 }),
      pod({ waiting: 1 }),
      pod({ ageMs: -1 }),
    ]);
    const config = {
      apiVersion: "llm-d.ai/v1alpha1",
      kind: "EndpointPickerConfig",
      plugins: [{ type: "decode-filter" }, { type: "queue-scorer" }, { type: "kv-cache-utilization-scorer" }],
      schedulingProfiles: [
        {
          name: "default",
          plugins: [
            { pluginRef: "decode-filter" },
            { pluginRef: "queue-scorer", weight: 2 },
            { pluginRef: "kv-cache-utilization-scorer" },
          ],
        },
      ],
    };
    const { director, decisions } = setUp(store, { config });
    void director.handle(request("why"));
    const trace = decisions.find("why")!;
    const [profile] = trace.profiles;
    expect(trace).toMatchObject({ candidates: 5, model: "m", time: "2026-01-01T00:01:40.000Z", primary: "default" });
    expect(profile?.filters).toEqual([expect.objectContaining({ plugin: "decode-filter", left: 4 })]);
    expect(profile?.freshness).toBe("stale-left-out");
    const verdicts = profile?.candidates.map(({ endpoint, verdict }) => [endpoint, verdict]);
    expect(verdicts).toEqual([
      ["pod-1-rank-0", "scored"],
      ["pod-3-rank-0", "picked"],
      ["pod-4-rank-0", "scored"],
      ["pod-0-rank-0", "removed by filter decode-filter"],
      ["pod-2-rank-0", "left out: metrics are stale"],
    ]);
    const [first, , never, , stale] = profile?.candidates ?? [];
    expect(first).toMatchObject({
      inputs: { waiting: 4, kvUsage: 0.5, ageMs: 10 },
      scores: [
        { scorer: "queue-scorer", raw: 0, weighted: 0 },
        { scorer: "kv-cache-utilization-scorer", raw: 0.5, weighted: 0.5 },
      ],
      total: 0.5,
    });
    expect([never?.inputs.ageMs, stale?.inputs.ageMs]).toEqual([null, 5000]);
  });
});

describe("stale metrics", () => {
  const pick = (pods: readonly Pod[]): ProfileTrace => {
    const { director, decisions } = setUp(storeOf(pods));
    void director.handle(request("r"));
    return decisions.find("r")!.profiles[0]!;
  };

  test.each([
    ["all fresh", [pod(), pod({ waiting: 1 })], "all-fresh", 2],
    ["one of three stale", [pod(), pod(), pod({ ageMs: 3000 })], "stale-left-out", 2],
    ["half of them stale", [pod(), pod({ ageMs: 3000 })], "stale-left-out", 1],
    ["most of them stale", [pod(), pod({ ageMs: 3000 }), pod({ ageMs: 3000 })], "mostly-stale", 3],
    ["all stale", [pod({ ageMs: 3000 }), pod({ ageMs: 3000 })], "mostly-stale", 2],
    ["never read", [pod({ ageMs: -1 }), pod({ ageMs: -1 })], "all-fresh", 2],
  ] as const)("%s", (_, pods, freshness, competing) => {
    const profile = pick(pods);
    expect(profile.freshness).toBe(freshness);
    expect(profile.candidates.filter(({ scores }) => scores !== undefined)).toHaveLength(competing);
  });
});

describe("the log", () => {
  const store = storeOf([pod(), pod({ waiting: 3 })]);
  test("one line at verbosity 4, none below", () => {
    const quiet = setUp(store, { verbosity: 3 });
    void quiet.director.handle(request("a"));
    const loud = setUp(store, { verbosity: 4 });
    void loud.director.handle(request("a"));
    expect(quiet.written()).toEqual([]);
    expect(loud.written()).toEqual([
      expect.objectContaining({
        msg: "request routed",
        requestId: "a",
        endpoint: "pod-0-rank-0",
        verdict: "picked",
        total: 4,
        freshness: "all-fresh",
        ties: 1,
        picker: "max-score-picker",
        destinations: ["10.0.0.0:8000"],
      }),
    ]);
  });

  test("a request that asks by header, and those that are drawn, are logged at any verbosity and kept", async () => {
    const asked = setUp(store, { verbosity: 2 });
    await asked.director.handle(request("a", "x", { "x-llm-d-explain": "true" }));
    void asked.director.handle(request("b", "x", { "x-llm-d-explain": "false" }));
    expect(asked.written().map(({ requestId }) => requestId)).toEqual(["a"]);
    for (let i = 0; i < 4096; i++) void asked.director.handle(request(`r${i}`));
    expect(asked.decisions.find("a")?.destinations).toHaveLength(1);
    expect(asked.decisions.find("b")).toBeUndefined();
    const drawn = setUp(store, { verbosity: 2, sampling: 0.25, seed: 7 });
    for (let i = 0; i < 200; i++) void drawn.director.handle(request(`r${i}`));
    const share = drawn.written().length / 200;
    expect(share).toBeGreaterThan(0.15);
    expect(share).toBeLessThan(0.35);
  });

  test("a refusal is remembered with its reason", () => {
    const { director, decisions } = setUp(new EndpointStore());
    expect(() => director.handle(request("a"))).toThrow();
    expect(decisions.find("a")).toMatchObject({
      candidates: 0,
      destinations: [],
      refusal: { code: "ServiceUnavailable", message: "failed to find endpoint candidates for serving the request" },
    });
  });

  test("the page lists the newest first, and finds one", () => {
    const { director, decisions } = setUp(store);
    for (const id of ["a", "b", "c"]) void director.handle(request(id));
    const page = decisions.page(new URLSearchParams("limit=2")) as { count: number; decisions: DecisionSummary[] };
    expect([page.count, page.decisions.map(({ requestId }) => requestId)]).toEqual([3, ["c", "b"]]);
    expect(decisions.page(new URLSearchParams("id=a"))).toMatchObject({ requestId: "a" });
    expect(decisions.page(new URLSearchParams("id=z"))).toBeUndefined();
  });
});

test("a large fleet has fewer decisions in the ring, and what is there is whole", () => {
  const fleet = storeOf(Array.from({ length: 3000 }, (_, index) => pod({ waiting: index })));
  const { director, decisions } = setUp(fleet);
  for (let i = 0; i < 100; i++) void director.handle(request(`r${i}`));
  const held = Array.from({ length: 100 }, (_, index) => decisions.find(`r${index}`));
  const oldest = held.findIndex((trace) => trace !== undefined);
  expect(oldest).toBeGreaterThan(5);
  expect(held.slice(oldest).every((trace) => trace?.profiles[0]?.candidates.length === 3000)).toBe(true);
  expect(held[oldest]?.profiles[0]?.candidates.at(-1)?.inputs).toMatchObject({ waiting: 2999, ageMs: 10 });
});

test("a request without a body is remembered with where it went, and why not", () => {
  const { director, decisions } = setUp(storeOf([pod(), pod()]));
  const { address } = director.handleBodyless(request("get", "", { "x-llm-d-explain": "true" }));
  expect(decisions.find("get")).toMatchObject({ destinations: [address], candidates: 2, profiles: [], model: "" });
  expect(() => director.handleBodyless({ ...request("none"), subset: [] })).toThrow("no pods available");
  expect(decisions.find("none")).toMatchObject({ destinations: [], refusal: { code: "ServiceUnavailable" } });
  expect(decisions.list(2).map(({ requestId }) => requestId)).toEqual(["none", "get"]);
});
