import type { Decision, ProfileResult, Refusal, SchedulingRequest, Ticket } from "../framework/cycle.ts";
import { type Logger, VERBOSITY } from "../../telemetry/log.ts";
import type { EndpointStore } from "../datalayer/endpoint-store.ts";
import type { Pipeline } from "../scheduling/pipeline.ts";
import type { DecisionTrace } from "../scheduling/trace.ts";
import { type ChosenEndpoint, type Director, type Headers, type IncomingRequest, RequestError } from "./types.ts";
import { inSubset } from "./subset.ts";

/** What a director needs. */
export interface DirectorOptions {
  readonly store: EndpointStore;
  /** Plugins in use now; a reload replaces them. */
  readonly pipeline: () => Pipeline;
  readonly logger: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
  /** Whether decisions carry the totals of all candidates. */
  readonly emitScores?: boolean;
}

/** A ticket knows the plugins that decided, so that a reload in between does not confuse them. */
interface RoutedTicket extends Ticket {
  readonly pipeline: Pipeline;
}

const NO_ENDPOINTS = "failed to find candidate endpoints for serving the request";

function aliased(headers: Headers, name: string): string | undefined {
  return headers.get(`x-llm-d-${name}`) ?? headers.get(`x-gateway-${name}`);
}

function schedulingRequest({ id, headers, body }: IncomingRequest): SchedulingRequest {
  return {
    id,
    incomingModel: body.model,
    targetModel: aliased(headers, "model-name-rewrite") || body.model,
    headers,
    body,
    priority: 0,
    fairnessId: aliased(headers, "inference-fairness-id") || "default-flow",
  };
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

  return {
    handle: (incoming) => {
      const pipeline = options.pipeline();
      const request = schedulingRequest(incoming);
      const count = collect(incoming.subset);
      const { cycle } = pipeline;
      cycle.begin(request, candidates, count, options.now());
      const trace: DecisionTrace | undefined = logger.enabled(VERBOSITY.debug) ? [] : undefined;
      prepare(pipeline, logger);
      const primary = schedule(pipeline, trace);
      const slot = primary.slots[0] ?? 0;
      const generation = store.generation[slot] ?? 0;
      const ticket: RoutedTicket = { request, slot, generation, states: [], pipeline };
      const setHeaders: (readonly [string, string])[] = [];
      const decision: Decision = {
        primary,
        results: cycle.results,
        ticket,
        setHeader: (name, value) => {
          const at = setHeaders.findIndex(([known]) => known === name);
          if (at === -1) setHeaders.push([name, value]);
          else setHeaders[at] = [name, value];
        },
      };
      for (const plugin of pipeline.plugins) plugin.preRequest?.(cycle, decision);
      if (trace !== undefined) logDecision(logger, store, request, primary, trace);
      const targets = Array.from(primary.slots.subarray(0, primary.targetCount), (target) => store.metadata(target));
      return {
        ticket,
        endpoint: chosen(slot),
        destination: targets.map(({ hostPort }) => hostPort).join(","),
        incomingModel: request.incomingModel,
        targetModel: request.targetModel,
        fairnessId: request.fairnessId,
        priority: request.priority,
        setHeaders,
        scores: options.emitScores === true ? totalsOf(store, primary) : undefined,
      };
    },
    handleBodyless: (subset) => {
      const count = collect(subset);
      return chosen(candidates[Math.floor(options.pipeline().cycle.random.next() * count)] ?? 0);
    },
    wantsResponseBody: false,
    onResponseHeaders: (ticket, headers, served) =>
      each(ticket, (plugin, own) => plugin.onResponseHeaders?.(own, headers, served)),
    onResponseBody: (ticket, chunk, end) =>
      each(ticket, (plugin, own) => plugin.onResponseBody?.(own, chunk, false, end)),
    onComplete: (ticket, summary) => each(ticket, (plugin, own) => plugin.onComplete?.(own, summary)),
  };
}

/** Runs producers and admitters. A producer that fails costs its data alone. */
function prepare({ cycle, producers, plugins }: Pipeline, logger: Logger): void {
  for (const producer of producers) {
    try {
      producer.produce?.(cycle);
    } catch (error) {
      logger.error("failed to prepare per request data", { requestId: cycle.request.id, error });
    }
  }
  for (const plugin of plugins) {
    const refusal = plugin.admit?.(cycle);
    if (refusal !== undefined) throw refused(refusal);
  }
}

/** Runs profiles until the handler has enough, and returns the primary result. */
function schedule({ cycle, handler, profiles }: Pipeline, trace: DecisionTrace | undefined): ProfileResult {
  const names = [...profiles.keys()];
  for (;;) {
    const next = handler.nextProfiles?.(cycle, names) ?? [];
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
