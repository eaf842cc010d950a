import type { Decision, ProfileResult, SchedulingRequest } from "../framework/cycle.ts";
import type { FlowController } from "../flowcontrol/controller.ts";
import { type Logger, VERBOSITY } from "../../telemetry/log.ts";
import type { EndpointStore } from "../datalayer/endpoint-store.ts";
import type { SchedulingMetrics } from "../metrics/scheduling-metrics.ts";
import type { Pipeline } from "../scheduling/pipeline.ts";
import type { DecisionRecord } from "../scheduling/record.ts";
import { Candidates } from "./candidates.ts";
import { DecisionLog } from "./decision-log.ts";
import { HeaderChanges } from "./header-changes.ts";
import { controlHeader, resolveModel } from "./model.ts";
import { NO_POLICIES, type RequestPolicies } from "./policies.ts";
import { createResponseHooks, type RoutedTicket } from "./response-hooks.ts";
import { admit, announce, demandCached, produce, schedule, screen, shed } from "./steps.ts";
import type { BodylessRequest, ChosenEndpoint, Director, Headers, IncomingRequest, RoutingDecision } from "./types.ts";

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
  /** Told the time of each request. Returns what to wait for until metrics are as fresh as configured; undefined: they are. */
  readonly onRequest?: (nowMs: number) => Promise<void> | undefined;
  /** Lets requests through where the pipeline says that they wait in queues; absent: nobody waits. */
  readonly admission?: Pick<FlowController, "admit" | "wake">;
  /** Where decisions are written down; default: one that keeps them for nobody. */
  readonly decisions?: DecisionLog;
  /** Whether decisions carry the totals of all candidates. */
  readonly emitScores?: boolean;
}

const NO_CANDIDATES = "failed to find endpoint candidates for serving the request";
const NO_PODS = "no pods available in datastore";
const DEFAULT_FLOW = "default-flow";

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

/** Creates the director: candidates, producers, profiles, hooks. Decisions are synchronous. */
export function createDirector(options: DirectorOptions): Director {
  const { store, logger, policies = NO_POLICIES } = options;
  const decisions = options.decisions ?? unreadDecisions(logger);
  const candidates = new Candidates(store);
  const { unsent, ...responseHooks } = createResponseHooks(logger);

  const resolve = ({ id, headers, body }: IncomingRequest, pipeline: Pipeline): ResolvedRequest => {
    const model = resolveModel(body, headers, policies.rewrites(), pipeline.cycle.random);
    const objectiveKey = controlHeader(headers, "inference-objective") ?? "";
    const priority = objectiveKey === "" ? undefined : policies.priorityOf(objectiveKey);
    if (objectiveKey !== "" && priority === undefined && logger.enabled(VERBOSITY.verbose))
      logger.v(VERBOSITY.verbose, "No associated InferenceObjective found, using default", { objectiveKey });
    const fairnessId = controlHeader(headers, "inference-fairness-id") || identityOf(headers, pipeline) || DEFAULT_FLOW;
    return { id, incomingModel: body.model, ...model, headers, body, priority: priority ?? 0, fairnessId };
  };

  const chosen = (slot: number): ChosenEndpoint => {
    const { podName, namespace, hostPort, port } = store.metadata(slot);
    return { podName, namespace, address: hostPort, port };
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
    const count = candidates.demand(subset, NO_CANDIDATES);
    cycle.begin(request, candidates.slots, count, record?.atMs ?? options.now(), prepared, record);
    if (!pipeline.queues) shed(pipeline);
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
      unsent(ticket);
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
      noting(request, incoming, () => begin(pipeline, request, incoming, prepared));
      produce(pipeline, at, logger);
      try {
        prepared[index] = await plugin.prepare?.(pipeline.cycle, incoming.signal);
      } catch (error) {
        logger.error("failed to prepare per request data", { requestId: incoming.id, error });
      }
    }
    return decide(pipeline, request, incoming, prepared);
  };

  /** Runs what may refuse a request before its decision, and writes the refusal down. */
  const noting = <T>(request: ResolvedRequest, { headers }: IncomingRequest, run: () => T): T => {
    try {
      return run();
    } catch (error) {
      decisions.refused(decisions.begin(request, store, options.now()), error, headers);
      throw error;
    }
  };

  const proceed = (request: ResolvedRequest, incoming: IncomingRequest): RoutingDecision | Promise<RoutingDecision> => {
    const pipeline = options.pipeline();
    const { preparers } = pipeline;
    return preparers.length === 0 ? decide(pipeline, request, incoming) : decideLater(pipeline, request, incoming);
  };

  /** Lets the request through, perhaps later: undefined where at once. */
  const admitted = (request: ResolvedRequest, { receivedAtMs, signal }: IncomingRequest): Promise<void> | undefined => {
    const { incomingModel: model, body } = request;
    return options.admission?.admit({ ...request, model, sizeBytes: body.sizeBytes, receivedAtMs, signal });
  };

  const handle = (incoming: IncomingRequest): RoutingDecision | Promise<RoutingDecision> => {
    const pipeline = options.pipeline();
    const request = resolve(incoming, pipeline);
    if (!pipeline.queues) return proceed(request, incoming);
    const waited = noting(request, incoming, () => admitted(request, incoming));
    if (waited === undefined) return proceed(request, incoming);
    return waited.then(
      () => proceed(request, incoming),
      (error: unknown) =>
        noting(request, incoming, () => {
          throw error;
        }),
    );
  };

  /** Any endpoint of the subset. The decision is written down without a profile. */
  const handleBodyless = ({ id, headers, subset }: BodylessRequest): ChosenEndpoint => {
    const { random } = options.pipeline().cycle;
    const request = { ...BODYLESS, id, headers };
    const record = decisions.begin(request, store, options.now());
    try {
      const count = candidates.demand(subset, NO_PODS);
      record.collected(candidates.slots, count);
      const slot = candidates.slots[Math.floor(random.next() * count)] ?? 0;
      store.picked(slot);
      decisions.drawn(record, store.metadata(slot).hostPort, headers);
      return chosen(slot);
    } catch (error) {
      decisions.refused(record, error, headers);
      throw error;
    }
  };

  return {
    ...responseHooks,
    handle: (incoming) => {
      const refreshed = options.onRequest?.(options.now());
      return refreshed === undefined ? handle(incoming) : refreshed.then(() => handle(incoming));
    },
    handleBodyless: (request) => {
      // Nothing is compared: the pool is busy from now on, but nobody waits for it.
      void options.onRequest?.(options.now());
      return handleBodyless(request);
    },
    onComplete: (ticket, summary) => {
      responseHooks.onComplete(ticket, summary);
      options.admission?.wake();
    },
    get wantsResponseBody() {
      return options.pipeline().wantsResponseBody;
    },
  };
}

/** What is known of a request that nothing but its headers tells about. */
const BODYLESS = { incomingModel: "", targetModel: "", fairnessId: DEFAULT_FLOW, priority: 0 };

function unreadDecisions(logger: Logger): DecisionLog {
  const random = { next: () => 1 };
  return new DecisionLog({ logger, staleAfterMs: 0, sampling: 0, random, originMs: performance.timeOrigin });
}

function totalsOf(store: EndpointStore, { slots, totals, count }: ProfileResult): ReadonlyMap<string, number> {
  const used = slots.subarray(0, count);
  return new Map(Array.from(used, (slot, index) => [store.metadata(slot).hostPort, totals[index] ?? 0]));
}
