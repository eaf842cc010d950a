import type { Decision, ProfileResult, Refusal, SchedulingRequest, Ticket } from "../framework/cycle.ts";
import { describeError, type Logger, VERBOSITY } from "../../telemetry/log.ts";
import type { EndpointStore } from "../datalayer/endpoint-store.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import type { SchedulingMetrics } from "../metrics/scheduling-metrics.ts";
import type { Pipeline } from "../scheduling/pipeline.ts";
import type { DecisionRecord } from "../scheduling/record.ts";
import { DecisionLog, EXPLAIN_HEADER } from "./decision-log.ts";
import { controlHeader, resolveModel } from "./model.ts";
import { NO_POLICIES, type RequestPolicies } from "./policies.ts";
import { createSubsetTest } from "./subset.ts";
import {
  type ChosenEndpoint,
  type Director,
  type HeaderChange,
  type Headers,
  type IncomingRequest,
  type MetadataValue,
  RequestError,
  type ResponseSummary,
  type RoutingDecision,
} from "./types.ts";

/** What a director needs. */
export interface DirectorOptions {
  readonly store: EndpointStore;
  /** Plugins in use now; a reload replaces them. */
  readonly pipeline: () => Pipeline;
  /** Absent: decisions are not counted. */
  readonly metrics?: SchedulingMetrics;
  /** Objectives and rewrites of the pool; default: none. */
  readonly policies?: RequestPolicies;
  readonly logger: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
  /** Told the time of each request. */
  readonly onRequest?: (nowMs: number) => void;
  /** Where decisions are written down; default: one that keeps them for nobody. */
  readonly decisions?: DecisionLog;
  /** Whether decisions carry the totals of all candidates. */
  readonly emitScores?: boolean;
}

/** A ticket knows the plugins that decided, so that a reload in between does not confuse them. */
interface RoutedTicket extends Ticket {
  readonly pipeline: Pipeline;
}

const SATURATED = "system saturated, sheddable request dropped";
const NO_CANDIDATES = "failed to find endpoint candidates for serving the request";
const NO_PODS = "no pods available in datastore";
const NO_TARGET = "failed to find target endpoint: ";
const SCREENED = "screeners eliminated all endpoint candidates";

/** A request with what its objective and the rewrites say about it. */
interface ResolvedRequest extends SchedulingRequest {
  readonly rewrittenBy: string | undefined;
}

function identityOf(headers: Headers, { plugins }: Pipeline): string | undefined {
  for (const plugin of plugins) {
    const found = plugin.fairnessId?.(headers);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Changes of the request's headers; the last change of a name wins. */
class HeaderChanges {
  readonly #changes = new Map<string, string | undefined>();

  set(name: string, value: string): void {
    this.#changes.set(name, value);
  }

  remove(name: string): void {
    this.#changes.set(name, undefined);
  }

  written(): readonly (readonly [string, string])[] {
    return [...this.#changes].flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  }

  /** Names that the client sent and nobody set. */
  removed(headers: Headers): readonly string[] {
    return [...this.#changes].flatMap(([name, value]) => (value === undefined && headers.has(name) ? [name] : []));
  }
}

function refused({ code, message, droppedReason }: Refusal, context = ""): RequestError {
  return new RequestError(code, context + message, droppedReason);
}

/** The end of a request that was decided about and not sent. */
const UNSENT: ResponseSummary = {
  termination: "error",
  status: undefined,
  usage: undefined,
  responseBytes: 0,
  firstByteMs: undefined,
  durationMs: 0,
};

/** Creates the director: candidates, producers, profiles, hooks. Decisions are synchronous. */
export function createDirector(options: DirectorOptions): Director {
  const { store, logger, policies = NO_POLICIES } = options;
  const decisions = options.decisions ?? unreadDecisions(logger);
  let candidates = new Int32Array(0);

  /** Fills `candidates` and returns how many there are; throws where there is none. */
  const collect = (subset: readonly string[] | undefined, refusal: string): number => {
    if (candidates.length < store.capacity) candidates = new Int32Array(store.capacity);
    const isNamed = subset === undefined ? undefined : createSubsetTest(subset, endpointsOf(store));
    let count = 0;
    for (const slot of store.slots())
      if (isNamed === undefined || isNamed(store.metadata(slot))) candidates[count++] = slot;
    if (count === 0) throw new RequestError("ServiceUnavailable", refusal, "rejected-no-endpoints");
    return count;
  };

  const resolve = ({ id, headers, body }: IncomingRequest, pipeline: Pipeline): ResolvedRequest => {
    const model = resolveModel(body, headers, policies.rewrites(), pipeline.cycle.random);
    const objectiveKey = controlHeader(headers, "inference-objective") ?? "";
    const priority = objectiveKey === "" ? undefined : policies.priorityOf(objectiveKey);
    if (objectiveKey !== "" && priority === undefined && logger.enabled(VERBOSITY.verbose))
      logger.v(VERBOSITY.verbose, "No associated InferenceObjective found, using default", { objectiveKey });
    const fairnessId =
      controlHeader(headers, "inference-fairness-id") || identityOf(headers, pipeline) || "default-flow";
    return { id, incomingModel: body.model, ...model, headers, body, priority: priority ?? 0, fairnessId };
  };

  const chosen = (slot: number): ChosenEndpoint => {
    const { podName, namespace, hostPort, port } = store.metadata(slot);
    return { podName, namespace, address: hostPort, port };
  };

  const each = (ticket: unknown, call: (plugin: Pipeline["plugins"][number], ticket: Ticket) => void): void => {
    const routed = ticket as RoutedTicket;
    for (const plugin of routed.pipeline.plugins) {
      try {
        call(plugin, routed);
      } catch (error) {
        logger.error("response hook failed", { requestId: routed.request.id, error });
      }
    }
  };

  /** Begins the cycle of a request and runs its screeners. */
  const begin = (
    pipeline: Pipeline,
    request: ResolvedRequest,
    { subset, span }: IncomingRequest,
    prepared?: readonly unknown[],
    record?: DecisionRecord,
  ): void => {
    const { cycle } = pipeline;
    cycle.span = span;
    const count = collect(subset, NO_CANDIDATES);
    cycle.begin(request, candidates, count, record?.atMs ?? options.now(), prepared, record);
    shed(pipeline);
    screen(pipeline);
  };

  const decide = (
    pipeline: Pipeline,
    request: ResolvedRequest,
    incoming: IncomingRequest,
    prepared?: readonly unknown[],
  ): RoutingDecision => {
    const record = decisions.begin(request, store, options.now());
    try {
      const primary = run(pipeline, request, incoming, record, prepared);
      const decision = finish(pipeline, request, incoming, primary);
      decisions.routed(record, primary, decision.replaced, incoming.headers);
      return decision.routed;
    } catch (error) {
      decisions.refused(record, error, incoming.headers);
      throw error;
    }
  };

  /** Runs the pipeline; the primary result is left. */
  const run = (
    pipeline: Pipeline,
    request: ResolvedRequest,
    incoming: IncomingRequest,
    record: DecisionRecord,
    prepared: readonly unknown[] | undefined,
  ): ProfileResult => {
    begin(pipeline, request, incoming, prepared, record);
    produce(pipeline, pipeline.producers.length, logger);
    admit(pipeline);
    const primary = measured(request, () => schedule(pipeline));
    demandCached(pipeline, primary.slots[0] ?? 0);
    return primary;
  };

  /** Tells the plugins and puts the answer together. */
  const finish = (
    pipeline: Pipeline,
    request: ResolvedRequest,
    incoming: IncomingRequest,
    primary: ProfileResult,
  ): { readonly routed: RoutingDecision; readonly replaced: readonly string[] | undefined } => {
    const { cycle } = pipeline;
    const slot = primary.slots[0] ?? 0;
    const generation = store.generation[slot] ?? 0;
    const { body: _, ...kept } = request;
    const ticket: RoutedTicket = { request: kept, slot, generation, states: [], pipeline };
    const targets = Array.from(primary.slots.subarray(0, primary.targetCount), (target) => store.metadata(target));
    const addresses = targets.map(({ hostPort }) => hostPort);
    const headers = new HeaderChanges();
    if (incoming.headers.has(EXPLAIN_HEADER)) headers.remove(EXPLAIN_HEADER);
    const decision: Decision = {
      primary,
      results: cycle.results,
      ticket,
      destinations: addresses,
      setHeader: (name, value) => headers.set(name, value),
      removeHeader: (name) => headers.remove(name),
    };
    const failure = announce(pipeline, decision);
    if (failure !== undefined) {
      each(ticket, (plugin, own) => plugin.onComplete?.(own, UNSENT));
      throw failure;
    }
    store.picked(slot);
    const routed = {
      ticket,
      endpoint: chosen(slot),
      destination: decision.destinations.join(","),
      incomingModel: request.incomingModel,
      targetModel: request.targetModel,
      rewrittenBy: request.rewrittenBy,
      fairnessId: request.fairnessId,
      priority: request.priority,
      setHeaders: headers.written(),
      removeHeaders: headers.removed(incoming.headers),
      scores: options.emitScores === true ? totalsOf(store, primary) : undefined,
    };
    return { routed, replaced: decision.destinations === addresses ? undefined : decision.destinations };
  };

  /** Counts and times the profiles' work. */
  const measured = ({ targetModel }: ResolvedRequest, run: () => ProfileResult): ProfileResult => {
    const { metrics } = options;
    if (metrics === undefined) return run();
    const beganAtMs = options.now();
    try {
      const result = run();
      metrics.attempted(targetModel, chosen(result.slots[0] ?? 0));
      return result;
    } catch (error) {
      metrics.attempted(targetModel, undefined);
      throw error;
    } finally {
      metrics.duration.observe((options.now() - beganAtMs) / 1000);
    }
  };

  /** Asks what plugins want to know from outside, each in a cycle of its own, then decides. */
  const decideLater = async (
    pipeline: Pipeline,
    request: ResolvedRequest,
    incoming: IncomingRequest,
  ): Promise<RoutingDecision> => {
    const prepared: unknown[] = [];
    for (const { at, index, plugin } of pipeline.preparers) {
      try {
        begin(pipeline, request, incoming, prepared);
      } catch (error) {
        decisions.refused(decisions.begin(request, store, options.now()), error, incoming.headers);
        throw error;
      }
      produce(pipeline, at, logger);
      try {
        prepared[index] = await plugin.prepare?.(pipeline.cycle, incoming.signal);
      } catch (error) {
        logger.error("failed to prepare per request data", { requestId: incoming.id, error });
      }
    }
    return decide(pipeline, request, incoming, prepared);
  };

  return {
    handle: (incoming) => {
      const pipeline = options.pipeline();
      options.onRequest?.(options.now());
      const request = resolve(incoming, pipeline);
      const { preparers } = pipeline;
      return preparers.length === 0 ? decide(pipeline, request, incoming) : decideLater(pipeline, request, incoming);
    },
    handleBodyless: (subset) => {
      options.onRequest?.(options.now());
      const count = collect(subset, NO_PODS);
      const slot = candidates[Math.floor(options.pipeline().cycle.random.next() * count)] ?? 0;
      store.picked(slot);
      return chosen(slot);
    },
    get wantsResponseBody() {
      return options.pipeline().wantsResponseBody;
    },
    onResponseHeaders: (ticket, headers, served) => {
      const writes: HeaderChange[] = [];
      each(ticket, (plugin, own) => {
        const added = plugin.onResponseHeaders?.(own, headers, served);
        if (added !== undefined) writes.push(...added);
      });
      return writes;
    },
    onResponseBody: (ticket, chunk, first, end) =>
      each(ticket, (plugin, own) => plugin.onResponseBody?.(own, chunk, first, end)),
    onFirstChunk: (ticket) => each(ticket, (plugin, own) => plugin.onFirstChunk?.(own)),
    responseMetadata: (ticket, usage) => {
      let merged: Map<string, ReadonlyMap<string, MetadataValue>> | undefined;
      each(ticket, (plugin, own) => {
        const writes = usage === undefined ? undefined : plugin.onUsage?.(own, usage);
        for (const [namespace, values] of writes ?? []) {
          merged ??= new Map();
          merged.set(namespace, new Map([...(merged.get(namespace) ?? []), ...values]));
        }
      });
      return merged;
    },
    onComplete: (ticket, summary) => each(ticket, (plugin, own) => plugin.onComplete?.(own, summary)),
  };
}

function unreadDecisions(logger: Logger): DecisionLog {
  const random = { next: () => 1 };
  return new DecisionLog({ logger, staleAfterMs: 0, sampling: 0, random, originMs: performance.timeOrigin });
}

function* endpointsOf(store: EndpointStore): Iterable<EndpointMetadata> {
  for (const slot of store.slots()) yield store.metadata(slot);
}

/** Refuses a sheddable request while the pool is saturated. */
function shed({ cycle, detector }: Pipeline): void {
  if (cycle.request.priority >= 0) return;
  if ((detector.saturation?.(cycle, cycle.candidates, cycle.candidateCount) ?? 0) < 1) return;
  throw new RequestError("ResourceExhausted", SATURATED, "rejected-saturated");
}

function screen({ cycle, screeners }: Pipeline): void {
  for (const screener of screeners)
    cycle.candidateCount = screener.screen?.(cycle, cycle.candidates, cycle.candidateCount) ?? cycle.candidateCount;
  cycle.record.screened(cycle.candidates, cycle.candidateCount);
  if (cycle.candidateCount === 0) throw new RequestError("ServiceUnavailable", SCREENED, "rejected-no-endpoints");
}

/** Runs the first `count` producers. One that fails costs its data alone. */
function produce({ cycle, producers }: Pipeline, count: number, logger: Logger): void {
  for (let i = 0; i < count; i++) {
    try {
      producers[i]?.produce?.(cycle);
    } catch (error) {
      logger.error("failed to prepare per request data", { requestId: cycle.request.id, error });
    }
  }
}

function admit({ cycle, admitters }: Pipeline): void {
  for (const plugin of admitters) {
    const refusal = plugin.admit?.(cycle);
    if (refusal !== undefined) throw refused(refusal, "request cannot be admitted: ");
  }
}

/** Runs profiles until the handler has enough, and returns the primary result. */
function schedule(pipeline: Pipeline): ProfileResult {
  const { cycle, handler, profiles, profileNames } = pipeline;
  for (;;) {
    const next = handler.nextProfiles?.(cycle, profileNames) ?? [];
    if (next.length === 0) break;
    for (const name of next) profiles.get(name)?.run(cycle);
  }
  const outcome = handler.primaryProfile?.(cycle);
  if (outcome !== undefined && "refusal" in outcome)
    throw refused(outcome.refusal, outcome.refusal.code === "ResourceExhausted" ? NO_TARGET : "");
  const primary = cycle.results.get(outcome?.profile ?? "");
  if (primary !== undefined) return primary;
  const cause = `failed to run any scheduler profile for request ${cycle.request.id}`;
  throw new RequestError("ResourceExhausted", NO_TARGET + cause);
}

/** Refuses a request that wants a decode worker with its prefix cached or none (RFC 7240, `Prefer: if-available`). */
function demandCached({ cycle, prefixMatch }: Pipeline, slot: number): void {
  const preferences = cycle.request.headers.get("prefer");
  if (preferences === undefined || !hasPreference(preferences, "if-available")) return;
  if ((prefixMatch?.of(cycle).cachedBlocks[slot] ?? 0) > 0) return;
  throw new RequestError("PreconditionFailed", "no decode worker has the requested KV cache");
}

const hasPreference = (preferences: string, name: string): boolean =>
  preferences.split(",").some((preference) => preference.split(";", 1)[0]?.trim().toLowerCase() === name);

/** Tells all plugins the decision before the request is sent. Returns why it must not be sent, if so. */
function announce({ cycle, announced }: Pipeline, decision: Decision): RequestError | undefined {
  let failures: { readonly error: unknown; readonly text: string }[] | undefined;
  for (const { plugin, type, name } of announced) {
    try {
      plugin.preRequest?.(cycle, decision);
    } catch (error) {
      (failures ??= []).push({ error, text: `PreRequest "${type}/${name}" failed: ${describeError(error)}` });
    }
  }
  if (failures === undefined) return undefined;
  const [first] = failures;
  if (failures.length === 1 && first?.error instanceof RequestError) return first.error;
  return new RequestError("Internal", failures.map(({ text }) => text).join("\n"));
}

function totalsOf(store: EndpointStore, { slots, totals, count }: ProfileResult): ReadonlyMap<string, number> {
  const used = slots.subarray(0, count);
  return new Map(Array.from(used, (slot, index) => [store.metadata(slot).hostPort, totals[index] ?? 0]));
}
