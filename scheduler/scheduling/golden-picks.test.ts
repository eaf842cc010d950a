import { describe, expect, test } from "@jest/globals";
import { readShared } from "../../test/corpus.ts";
import { ManualClock } from "../../test/manual-clock.ts";
import {
  PODS,
  recordedFleet,
  recordedRequest,
  type RecordedStep,
  recordings,
  scrapeState,
} from "../../test/scheduler/recorded-picks.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { loadConfig } from "../config/load.ts";
import type { PluginSpec, SchedulerConfig } from "../config/types.ts";
import type { Plugin } from "../framework/plugin.ts";
import { FlowController } from "../flowcontrol/controller.ts";
import { createFlowMetrics } from "../flowcontrol/flow-metrics.ts";
import { createSaturation } from "../flowcontrol/saturation.ts";
import { flowSetupOf } from "../flowcontrol/setup.ts";
import { createParsers } from "../parsers/parsers.ts";
import { createDirector } from "../request/director.ts";
import { RequestError, type ResponseSummary, type RoutingDecision } from "../request/types.ts";
import { createPipeline } from "./pipeline.ts";

const DESTINATION = "x-gateway-destination-endpoint";
const SCORES = "x-gateway-destination-endpoint-scores";
const RANK = "x-data-parallel-host-port";
const EPSILON = 1e-9;

/** The recorder cut each stream after the first answer. */
const CUT: ResponseSummary = {
  termination: "client-disconnect",
  status: undefined,
  usage: undefined,
  responseBytes: 0,
  firstByteMs: undefined,
  durationMs: 0,
};

const listOf = (text = ""): readonly string[] => (text === "" ? [] : text.split(","));

/** Where the recorded picker sent a request, for each stage. */
function recordedPicks(step: RecordedStep | undefined, profile: string): readonly string[] {
  const headers = step?.headers ?? {};
  if (profile === "prefill" && headers["x-prefiller-host-port"] !== undefined)
    return listOf(headers["x-prefiller-host-port"]);
  if (profile === "encode" && headers["x-encoder-hosts-ports"] !== undefined)
    return listOf(headers["x-encoder-hosts-ports"]);
  return listOf(headers[RANK] ?? headers[DESTINATION]);
}

/** Makes pickers take what was recorded. Tells where that is no candidate, or not the best where the best is taken. */
function forced(spec: PluginSpec, step: () => RecordedStep | undefined, tell: (text: string) => void): PluginSpec {
  const { definition } = spec;
  const { create } = definition;
  if (!definition.kinds.includes("picker") || create === undefined) return spec;
  const pickRecorded = (inner: Plugin): Plugin["pick"] & {} => {
    return (cycle, slots, totals, count) => {
      const taken = inner.pick?.(cycle, slots, totals, count) ?? 0;
      const best = totals[0] ?? 0;
      recordedPicks(step(), cycle.profile).forEach((hostPort, to) => {
        const hostPorts = Array.from(slots.subarray(0, count), (slot) => cycle.endpoints.metadata(slot).hostPort);
        const at = hostPorts.indexOf(hostPort);
        if (at === -1) return tell(`${cycle.profile}: ${hostPort} is no candidate`);
        const total = totals[at] ?? 0;
        if (spec.type === "max-score-picker" && to === 0 && Math.abs(total - best) > EPSILON)
          tell(`${cycle.profile}: ${hostPort} has ${total}, the best has ${best}`);
        [slots[to], slots[at]] = [slots[at] ?? 0, slots[to] ?? 0];
        [totals[to], totals[at]] = [total, totals[to] ?? 0];
      });
      return taken;
    };
  };
  return {
    ...spec,
    definition: {
      ...definition,
      create: (parameters, context) => {
        const inner = create(parameters, context);
        return { ...inner, pick: pickRecorded(inner) };
      },
    },
  };
}

/** What a replay found: how each step differs, and how many were compared. */
interface Replay {
  readonly differences: string[];
  readonly compared: number;
  /** Scores of the first step, by `ip:port`. */
  readonly firstScores: ReadonlyMap<string, number>;
}

function loaded(path: string): SchedulerConfig {
  const { config, errors } = loadConfig(readShared(`corpus/epp-configs/${path}`));
  if (config === undefined) throw new Error(`does not load: ${JSON.stringify(errors)}`);
  return config;
}

/** Sends the requests of a recording through parsers, director, pipeline and store. */
async function replay(
  config: SchedulerConfig,
  steps: readonly RecordedStep[],
  order: readonly number[],
): Promise<Replay> {
  const store = recordedFleet(order);
  let current: RecordedStep | undefined;
  let nowMs = 1000;
  const differences: string[] = [];
  const tell = (text: string): void => {
    differences.push(`${current?.state ?? ""} ${current?.request ?? ""}: ${text}`);
  };
  const plugins = config.plugins.map((spec) => forced(spec, () => current, tell));
  const pipeline = createPipeline({
    config: { ...config, plugins },
    endpoints: store,
    random: { next: () => 0.5 },
    logger: silentLogger,
    metrics: createMetricsRegistry(),
    fetch: () => Promise.reject(new Error("no such service")),
  });
  const settings = { store, pipeline: () => pipeline, logger: silentLogger, now: () => nowMs, emitScores: true };
  const clock = new ManualClock();
  const measure = createSaturation(
    store,
    () => pipeline,
    () => nowMs,
  );
  const setup = flowSetupOf(config, pipeline);
  const flow = new FlowController({
    setup: () => setup,
    saturation: () => measure().effective,
    isEmpty: () => store.size === 0,
    metrics: createFlowMetrics(createMetricsRegistry(), "p"),
    clock,
  });
  const director = createDirector({ ...settings, admission: flow });
  const parsers = createParsers(config.parserTypes);
  let compared = 0;
  let firstScores: ReadonlyMap<string, number> = new Map();
  for (const step of steps) {
    current = step;
    nowMs += 1000;
    scrapeState(store, step.state, nowMs);
    compared++;
    const { path, body: bytes } = recordedRequest(step.request);
    const abort = new AbortController();
    const { signal } = abort;
    try {
      const body = parsers.parse(path, bytes);
      const request = {
        id: `${compared}`,
        path,
        headers: new Map(),
        subset: undefined,
        receivedAtMs: nowMs,
        signal,
        body,
      };
      const handled = director.handle(request);
      if (flow.waiting > 0) {
        // The recorded picker gave no answer within four seconds: the request waited in a queue.
        await clock.advance(4000);
        if (step.error === undefined || flow.waiting === 0) tell("waits in a queue");
        abort.abort();
        await expect(handled).rejects.toThrow("client disconnected");
        continue;
      }
      if (step.error !== undefined) tell("does not wait in a queue");
      const decision = await handled;
      differencesOf(decision, step).forEach(tell);
      if (firstScores.size === 0) firstScores = decision.scores ?? firstScores;
      director.onComplete(decision.ticket, CUT);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.httpStatus !== step.immediate)
        tell(`refused with ${error.httpStatus} ${error.message}, recorded ${step.immediate ?? "a pick"}`);
      // Ours say more: why each profile failed.
      const body = `inference error: ${error.code} - ${error.message}`;
      if (!body.startsWith(step.body ?? "")) tell(`refused with "${body}", recorded "${step.body}"`);
    }
  }
  return { differences, compared, firstScores };
}

function differencesOf(decision: RoutingDecision, step: RecordedStep): string[] {
  if (step.immediate !== undefined) return [`recorded ${step.immediate} ${step.body ?? ""}`];
  const ours = new Map([[DESTINATION, decision.destination], ...decision.setHeaders]);
  const theirs = new Map(Object.entries(step.headers ?? {}));
  const names = [...new Set([...ours.keys(), ...theirs.keys()])].filter((name) => ours.get(name) !== theirs.get(name));
  return [
    ...names.map((name) => `header ${name} is ${ours.get(name)}, recorded ${theirs.get(name)}`),
    ...differencesOfScores(decision.scores ?? new Map(), scoresOf(step)),
  ];
}

/** Recorded scores by `ip:port`; none where the recording has none. */
function scoresOf({ metadata }: RecordedStep): ReadonlyMap<string, number> | undefined {
  const recorded = metadata?.["envoy.lb"]?.[SCORES];
  return recorded === undefined ? undefined : new Map(Object.entries(recorded as Record<string, number>));
}

function differencesOfScores(ours: ReadonlyMap<string, number>, theirs: ReadonlyMap<string, number> | undefined) {
  if (theirs === undefined) return [];
  const names = [...new Set([...ours.keys(), ...theirs.keys()])].toSorted((a, b) => (a < b ? -1 : 1));
  return names.flatMap((name) => {
    const difference = Math.abs((ours.get(name) ?? NaN) - (theirs.get(name) ?? NaN));
    return difference < EPSILON ? [] : [`score of ${name} is ${ours.get(name)}, recorded ${theirs.get(name)}`];
  });
}

const LRU = "no-hit-lru-scorer";

/**
 * The order in which the recorded picker listed its endpoints: its own affair, and told by what the first request, which
 * hits no cache, got from the scorer that ranks endpoints without history in their order.
 */
async function listedOrder(config: SchedulerConfig, steps: readonly RecordedStep[]): Promise<readonly number[]> {
  const names = config.plugins.filter(({ type }) => type === LRU).map(({ name }) => name);
  const weight = config.profiles.flatMap(({ plugins }) => plugins).find(({ plugin }) => names.includes(plugin))?.weight;
  const first = steps.slice(0, 1);
  if (weight === undefined || first[0] === undefined) return PODS;
  const { firstScores } = await replay(config, first, PODS);
  const theirs = scoresOf(first[0]) ?? new Map();
  const hostPort = (pod: number): string => `10.0.0.${pod + 1}:8000`;
  const scored = PODS.filter((pod) => firstScores.has(hostPort(pod)));
  const rankOf = (pod: number): number => {
    const own = weight * (1 - scored.indexOf(pod) / Math.max(1, scored.length - 1));
    const others = (firstScores.get(hostPort(pod)) ?? 0) - own;
    return others - (theirs.get(hostPort(pod)) ?? 0);
  };
  const dropped = PODS.filter((pod) => !scored.includes(pod));
  return [...scored.toSorted((a, b) => rankOf(a) - rankOf(b)), ...dropped];
}

describe("recorded picks of the llm-d endpoint picker v0.10.0", () => {
  const all = recordings().filter(({ error }) => error === undefined);
  let compared = 0;

  test.each(all.map((recording) => [recording.config, recording] as const))("%s", async (path, { steps = [] }) => {
    const config = loaded(path);
    const found = await replay(config, steps, await listedOrder(config, steps));
    compared += found.compared;
    expect(found.differences).toEqual([]);
  });

  test("every step is compared", () => {
    const steps = all.reduce((sum, recording) => sum + (recording.steps?.length ?? 0), 0);
    expect(all.length).toBeGreaterThan(85);
    expect(compared).toBe(steps);
  });
});
