import type { Decision, ProfileResult, Refusal, SchedulingRequest, Ticket } from "../framework/cycle.ts";
import { type Logger, VERBOSITY } from "../../telemetry/log.ts";
import type { EndpointStore } from "../datalayer/endpoint-store.ts";
import type { Pipeline } from "../scheduling/pipeline.ts";
import type { DecisionTrace } from "../scheduling/trace.ts";
import {
  type ChosenEndpoint,
  type Director,
  type Headers,
  type IncomingRequest,
  RequestError,
  type RoutingDecision,
} from "./types.ts";
import { inSubset } from "./subset.ts";

/** What a director needs. */
export interface DirectorOptions {
  readonly store: EndpointStore;
  /** Plugins in use now; a reload replaces them. */
  readonly pipeline: () => Pipeline;
  readonly logger: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
  /** Told the time of each request. */
  readonly onRequest?: (nowMs: number) => void;
  /** Whether decisions carry the totals of all candidates. */
  readonly emitScores?: boolean;
}

/** A ticket knows the plugins that decided, so that a reload in between does not confuse them. */
interface RoutedTicket extends Ticket {
  readonly pipeline: Pipeline;
}

const SATURATED = "system saturated, sheddable request dropped";
const NO_ENDPOINTS = "failed to find candidate endpoints for serving the request";

function aliased(headers: Headers, name: string): string | undefined {
  return headers.get(`x-llm-d-${name}`) ?? headers.get(`x-gateway-${name}`);
}

function schedulingRequest({ id, headers, body }: IncomingRequest, { plugins }: Pipeline): SchedulingRequest {
  const identity = (): string | undefined => {
    for (const plugin of plugins) {
      const found = plugin.fairnessId?.(headers);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return {
    id,
    incomingModel: body.model,
    targetModel: aliased(headers, "model-name-rewrite") || body.model,
    headers,
    body,
    priority: 0,
    fairnessId: aliased(headers, "inference-fairness-id") || identity() || "default-flow",
  };
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

function refused({ code, message, droppedReason }: Refusal): RequestError {
  return new RequestError(code, message, droppedReason);
}

/** Creates the director: candidates, producers, profiles, hooks. Decisions are synchronous. */
export function createDirector(options: DirectorOptions): Director {
  const { store, logger } = options;
  let candidates = new Int32Array(0);

  /** Fills `candidates` and returns how many there are; throws where there is none. */
  const collect = (subset: readonly string[] | undefined): number => {
    if (candidates.length < store.capacity) candidates = new Int32Array(store.capacity);
    let count = 0;
    for (const slot of store.slots())
      if (subset === undefined || inSubset(subset, store.metadata(slot))) candidates[count++] = slot;
    if (count === 0) throw new RequestError("ServiceUnavailable", NO_ENDPOINTS, "rejected-no-endpoints");
    return count;
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
  const begin = (pipeline: Pipeline, incoming: IncomingRequest, prepared?: readonly unknown[]): void => {
    const request = schedulingRequest(incoming, pipeline);
    const { cycle } = pipeline;
    cycle.begin(request, candidates, collect(incoming.subset), options.now(), prepared);
    cycle.candidates = candidates;
    shed(pipeline);
    screen(pipeline);
  };

  const decide = (
    pipeline: Pipeline,
    incoming: IncomingRequest,
    prepared?: readonly unknown[],
  ): ReturnType<Director["handle"]> => {
    begin(pipeline, incoming, prepared);
    const { cycle } = pipeline;
    const { request } = cycle;
    const trace: DecisionTrace | undefined = logger.enabled(VERBOSITY.debug) ? [] : undefined;
    produce(pipeline, pipeline.producers.length, logger);
    admit(pipeline);
    const primary = schedule(pipeline, trace);
    const slot = primary.slots[0] ?? 0;
    const generation = store.generation[slot] ?? 0;
    const ticket: RoutedTicket = { request, slot, generation, states: [], pipeline };
    const targets = Array.from(primary.slots.subarray(0, primary.targetCount), (target) => store.metadata(target));
    const headers = new HeaderChanges();
    const decision: Decision = {
      primary,
      results: cycle.results,
      ticket,
      destinations: targets.map(({ hostPort }) => hostPort),
      setHeader: (name, value) => headers.set(name, value),
      removeHeader: (name) => headers.remove(name),
    };
    for (const plugin of pipeline.plugins) plugin.preRequest?.(cycle, decision);
    if (trace !== undefined) logDecision(logger, store, request, primary, trace);
    return {
      ticket,
      endpoint: chosen(slot),
      destination: decision.destinations.join(","),
      incomingModel: request.incomingModel,
      targetModel: request.targetModel,
      fairnessId: request.fairnessId,
      priority: request.priority,
      setHeaders: headers.written(),
      removeHeaders: headers.removed(incoming.headers),
      scores: options.emitScores === true ? totalsOf(store, primary) : undefined,
    };
  };

  /** Asks what plugins want to know from outside, each in a cycle of its own, then decides. */
  const decideLater = async (pipeline: Pipeline, incoming: IncomingRequest): Promise<RoutingDecision> => {
    const prepared: unknown[] = [];
    for (const { at, index, plugin } of pipeline.preparers) {
      begin(pipeline, incoming, prepared);
      produce(pipeline, at, logger);
      try {
        prepared[index] = await plugin.prepare?.(pipeline.cycle, incoming.signal);
      } catch (error) {
        logger.error("failed to prepare per request data", { requestId: incoming.id, error });
      }
    }
    return decide(pipeline, incoming, prepared);
  };

  return {
    handle: (incoming) => {
      const pipeline = options.pipeline();
      options.onRequest?.(options.now());
      return pipeline.preparers.length === 0 ? decide(pipeline, incoming) : decideLater(pipeline, incoming);
    },
    handleBodyless: (subset) => {
      options.onRequest?.(options.now());
      const count = collect(subset);
      return chosen(candidates[Math.floor(options.pipeline().cycle.random.next() * count)] ?? 0);
    },
    get wantsResponseBody() {
      return options.pipeline().wantsResponseBody;
    },
    onResponseHeaders: (ticket, headers, served) => {
      const writes: (readonly [string, string])[] = [];
      each(ticket, (plugin, own) => {
        const added = plugin.onResponseHeaders?.(own, headers, served);
        if (added !== undefined) writes.push(...added);
      });
      return writes;
    },
    onResponseBody: (ticket, chunk, end) =>
      each(ticket, (plugin, own) => plugin.onResponseBody?.(own, chunk, false, end)),
    onComplete: (ticket, summary) => each(ticket, (plugin, own) => plugin.onComplete?.(own, summary)),
  };
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
  if (cycle.candidateCount === 0) throw new RequestError("ServiceUnavailable", NO_ENDPOINTS, "rejected-no-endpoints");
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
    if (refusal !== undefined) throw refused(refusal);
  }
}

/** Runs profiles until the handler has enough, and returns the primary result. */
function schedule(pipeline: Pipeline, trace: DecisionTrace | undefined): ProfileResult {
  const { cycle, handler, profiles, profileNames } = pipeline;
  for (;;) {
    const next = handler.nextProfiles?.(cycle, profileNames) ?? [];
    if (next.length === 0) break;
    for (const name of next) profiles.get(name)?.run(cycle, trace);
  }
  const outcome = handler.primaryProfile?.(cycle);
  if (outcome !== undefined && "refusal" in outcome) throw refused(outcome.refusal);
  const primary = cycle.results.get(outcome?.profile ?? "");
  if (primary !== undefined) return primary;
  throw new RequestError("ResourceExhausted", `failed to run any scheduler profile for request ${cycle.request.id}`);
}

function totalsOf(store: EndpointStore, { slots, totals, count }: ProfileResult): ReadonlyMap<string, number> {
  const used = slots.subarray(0, count);
  return new Map(Array.from(used, (slot, index) => [store.metadata(slot).hostPort, totals[index] ?? 0]));
}

function logDecision(
  logger: Logger,
  store: EndpointStore,
  request: SchedulingRequest,
  primary: ProfileResult,
  trace: DecisionTrace,
): void {
  const found = trace.find(({ profile }) => profile === primary.profile);
  if (found === undefined) return;
  const scoresOf = (slot: number): Readonly<Record<string, number>> =>
    Object.fromEntries(
      found.scorers.map(({ scorer, weight, scores }) => [scorer, (scores.get(slot) ?? 0) * weight] as const),
    );
  const slot = primary.slots[0] ?? 0;
  const { podName, hostPort } = store.metadata(slot);
  const all = logger.enabled(VERBOSITY.trace)
    ? Array.from(primary.slots.subarray(0, primary.count), (other, index) => ({
        endpoint: store.metadata(other).podName,
        total: primary.totals[index],
        scores: scoresOf(other),
      }))
    : undefined;
  logger.v(VERBOSITY.debug, "request routed", {
    requestId: request.id,
    model: request.targetModel,
    endpoint: podName,
    address: hostPort,
    scores: scoresOf(slot),
    total: primary.totals[0],
    candidates: found.candidates,
    ties: found.ties,
    picker: found.picker,
    ...(all === undefined ? {} : { all }),
  });
}
