/** A pipeline around one plugin, over the pool of the specification's worked examples. */
import { silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../../telemetry/metrics.ts";
import { loadConfig } from "../../scheduler/config/load.ts";
import type { SchedulerConfig } from "../../scheduler/config/types.ts";
import { EndpointStore } from "../../scheduler/datalayer/endpoint-store.ts";
import type { EndpointSample } from "../../scheduler/datalayer/sample.ts";
import type { ProfileResult, SchedulingRequest, Ticket } from "../../scheduler/framework/cycle.ts";
import type { DataKey } from "../../scheduler/framework/data.ts";
import type { Plugin } from "../../scheduler/framework/plugin.ts";
import type { ParsedBody } from "../../scheduler/request/types.ts";
import type { SchedulingCycle } from "../../scheduler/scheduling/cycle.ts";
import { createPipeline, type Pipeline } from "../../scheduler/scheduling/pipeline.ts";
import { completionBody } from "./requests.ts";

/** An endpoint: its metrics, labels and attributes. */
export interface BenchEndpoint extends EndpointSample {
  readonly labels?: Readonly<Record<string, string>>;
  /** Monotonic ms of its metrics; default 1000. */
  readonly updatedAtMs?: number;
}

/** Pods a, b and c. */
export const POOL: readonly BenchEndpoint[] = [
  { waiting: 0, running: 4, kvUsage: 0.2, labels: { "llm-d.ai/context-length-range": "0-2000" } },
  { waiting: 3, running: 8, kvUsage: 0.55, labels: { "llm-d.ai/context-length-range": "2000-8192" } },
  { waiting: 12, running: 16, kvUsage: 0.9 },
];

/** A store of endpoints `default/pod-a`, `pod-b`, … at 10.0.0.1, .2, …, port 8000. */
export function storeOf(pool: readonly BenchEndpoint[]): EndpointStore {
  const store = new EndpointStore();
  pool.forEach(({ labels = {}, updatedAtMs = 1000, ...sample }, index) => {
    const name = `pod-${"abcdefgh"[index] ?? ""}`;
    const address = `10.0.0.${index + 1}`;
    const place = { address, port: 8000, hostPort: `${address}:8000`, metricsHost: `${address}:8000`, nodeAddress: "" };
    const slot = store.upsert({ namespace: "default", podName: name, name, labels, rank: 0, ...place });
    store.update(slot, store.generation[slot] ?? 0, sample, updatedAtMs);
  });
  return store;
}

/** A request with the given parts; a completion with an empty prompt otherwise. */
export function benchRequest(
  parts: Partial<Omit<SchedulingRequest, "body">> & { readonly body?: Partial<ParsedBody> } = {},
): SchedulingRequest {
  const body = completionBody("", { promptBytes: () => [], ...parts.body });
  const rest = { id: "r", incomingModel: "m", targetModel: "m", headers: new Map(), priority: 0, fairnessId: "f" };
  return { ...rest, ...parts, body };
}

/** One plugin and what it works on. */
export interface Bench {
  readonly plugin: Plugin;
  readonly pipeline: Pipeline;
  readonly cycle: SchedulingCycle;
  readonly store: EndpointStore;
  readonly metrics: MetricsRegistry;
  /** Starts a decision over all endpoints at 1000 ms. */
  begin(request?: SchedulingRequest): void;
  /** Runs the producers of all data that the plugin reads. */
  produce(): void;
  /** Replaces the record of a key, as if its producer had made it. */
  put<T extends object>(key: DataKey<T>, producer: string, record: Partial<T>): void;
  /** Tells the plugin that the profile `default` chose these slots, best first. Returns the request's ticket. */
  decide(...slots: readonly number[]): Ticket;
  /** Names of the endpoints that the plugin keeps as a filter. */
  kept(): readonly string[];
  /** Clamped scores of the plugin by endpoint, rounded to 6 digits. */
  scores(): readonly number[];
}

/** What a bench is made with besides the plugin. */
export interface BenchOptions {
  readonly pool?: readonly BenchEndpoint[];
  /** Uniform numbers in [0, 1), in order; 0.5 after the last. */
  readonly random?: readonly number[];
  /** Further plugins of the configuration. */
  readonly others?: readonly Readonly<Record<string, unknown>>[];
  readonly fetch?: typeof fetch;
  readonly environment?: Readonly<Record<string, string>>;
  readonly metricsIntervalMs?: number;
  /** Monotonic ms; default: the process's clock. */
  readonly now?: () => number;
  /** A configuration that takes the place of one made for the plugin. */
  readonly config?: SchedulerConfig;
  readonly profiles?: readonly Readonly<Record<string, unknown>>[];
}

/** Makes a plugin of a type from parameters, by way of the loader. */
export function pluginOf(type: string, parameters?: unknown, options: BenchOptions = {}): Bench {
  const { pool = POOL, others = [], profiles, random = [] } = options;
  const made = loadConfig({
    apiVersion: "llm-d.ai/v1alpha1",
    kind: "EndpointPickerConfig",
    plugins: [{ type, ...(parameters === undefined ? {} : { parameters }) }, ...others],
    schedulingProfiles: profiles ?? [{ name: "default", plugins: [] }],
  });
  const config = options.config ?? made.config;
  if (config === undefined) throw new Error(JSON.stringify(made.errors));
  const store = storeOf(pool);
  const metrics = createMetricsRegistry();
  let drawn = 0;
  const pipeline = createPipeline({
    config,
    endpoints: store,
    random: { next: () => random[drawn++] ?? 0.5 },
    logger: silentLogger,
    metrics,
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    ...(options.environment === undefined ? {} : { environment: options.environment }),
    ...(options.now === undefined ? {} : { now: options.now }),
    ...(options.metricsIntervalMs === undefined ? {} : { metricsIntervalMs: options.metricsIntervalMs }),
  });
  const { cycle } = pipeline;
  const plugin = pipeline.plugins[0];
  if (plugin === undefined) throw new Error("no plugin");
  const slots = Int32Array.from(store.slots());
  const begin = (request = benchRequest()): void => cycle.begin(request, slots.slice(), slots.length, 1000);
  begin();
  return {
    plugin,
    pipeline,
    cycle,
    store,
    metrics,
    begin,
    produce: () => pipeline.producers.forEach((producer) => producer.produce?.(cycle)),
    put: (key, producer, record) => void Object.assign(pipeline.data(key, producer).of(cycle), record),
    decide: (...targets) => {
      const totals = new Float64Array(targets.length);
      const count = targets.length;
      const chosen = { slots: Int32Array.from(targets), totals, count, targetCount: count };
      const primary: ProfileResult = { profile: "default", ...chosen, refusal: undefined };
      cycle.results.add(primary);
      const slot = targets[0] ?? 0;
      const generation = store.generation[slot] ?? 0;
      const ticket: Ticket = { request: cycle.request, slot, generation, states: [] };
      const ignore = (): void => undefined;
      const decision = {
        primary,
        results: cycle.results,
        ticket,
        destinations: [],
        setHeader: ignore,
        removeHeader: ignore,
      };
      plugin.preRequest?.(cycle, decision);
      return ticket;
    },
    kept: () => {
      const kept = slots.slice();
      const count = plugin.filter?.(cycle, kept, kept.length) ?? kept.length;
      return Array.from(kept.subarray(0, count), (slot) => store.metadata(slot).name);
    },
    scores: () => {
      const scores = new Float64Array(slots.length);
      cycle.profile = "default";
      plugin.score?.(cycle, slots, slots.length, scores);
      return Array.from(scores, (score) => Math.round(Math.min(1, Math.max(0, score)) * 1e6) / 1e6);
    },
  };
}
