import type { Clock } from "../../kube/clock.ts";
import type { BandConfig, FlowControlConfig } from "../config/flow-control.ts";
import type { FairnessPolicy, OrderingPolicy, QueuedRequest, UsageLimitPolicy } from "../framework/plugin.ts";
import type { FlowMetrics, FlowSeries } from "./flow-metrics.ts";
import { type Outcome, refusalOf } from "./outcome.ts";
import { Band, type Item } from "./queue.ts";

/** A request that asks to be let through. */
export interface FlowRequest extends Omit<QueuedRequest, "enqueuedAtMs" | "ttlMs"> {
  readonly model: string;
  readonly targetModel: string;
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
}

/** Limits and policies of the configuration in effect. */
export interface FlowSetup {
  readonly config: FlowControlConfig;
  ordering(name: string): OrderingPolicy;
  fairness(name: string): FairnessPolicy;
  readonly usageLimit: UsageLimitPolicy;
}

/** What a controller works with. */
export interface FlowControllerOptions {
  /** Asked at each use, since a reload changes it; undefined: flow control is off, and what waits is let through. */
  readonly setup: () => FlowSetup | undefined;
  /** Saturation of the pool: 1 and more is full. */
  readonly saturation: () => number;
  /** Whether the pool has no endpoint. */
  readonly isEmpty: () => boolean;
  readonly metrics: FlowMetrics;
  readonly clock: Clock;
}

/** How full the queues are, as shares of their limits. */
export interface FlowUsage {
  readonly bands: readonly { readonly priority: number; readonly requests: number; readonly bytes: number }[];
  /** Over all bands; undefined where there is no such limit. */
  readonly requests: number | undefined;
  readonly bytes: number | undefined;
}

/** Between two looks at the pool while requests wait, in ms. */
const TICK_MS = 10;
/** Between two searches for requests that have waited too long, in ms. */
const SWEEP_MS = 1000;
/** Requests let through at one look: the pool's metrics do not show them yet. */
const MAX_PER_LOOK = 64;

/**
 * Lets requests through while the pool has room, the more important first; others wait in queues by priority and fairness id.
 * Nothing runs while nothing waits.
 */
export class FlowController {
  readonly #options: FlowControllerOptions;
  /** By priority; a band lives as long as something waits in it. */
  readonly #bands = new Map<number, Band>();
  #requests = 0;
  #bytes = 0;
  #cancelTick: (() => void) | undefined;
  #sweptAtMs = 0;
  #isEmpty = false;
  /** When the pool last became empty or ceased to be. */
  #emptySinceMs = 0;

  constructor(options: FlowControllerOptions) {
    this.#options = options;
  }

  /** How many requests wait. */
  get waiting(): number {
    return this.#requests;
  }

  /** How full the queues are; undefined while flow control is off. */
  usage(): FlowUsage | undefined {
    const setup = this.#options.setup();
    if (setup === undefined) return undefined;
    const { config } = setup;
    const bands = this.#priorities(setup).map((priority) => {
      const { maxRequests, maxBytes } = bandConfigOf(config, priority);
      const { requests = 0, bytes = 0 } = this.#bands.get(priority) ?? {};
      return { priority, requests: requests / maxRequests, bytes: bytes / maxBytes };
    });
    const share = (used: number, limit: number | undefined) => (limit === undefined ? undefined : used / limit);
    return {
      bands,
      requests: share(this.#requests, config.maxRequests),
      bytes: share(this.#bytes, config.maxBytes),
    };
  }

  /**
   * Lets a request through: at once (undefined), or when the promise resolves. Throws, or rejects with, `RequestError` where it
   * finds no room in the queue or waits too long.
   */
  admit(request: FlowRequest): Promise<void> | undefined {
    const { setup: current, metrics, clock } = this.#options;
    const setup = current();
    if (setup === undefined) return undefined;
    const nowMs = clock.now();
    const series = metrics.series(request);
    if (this.#isFull(request, setup)) {
      const outcome = this.#options.isEmpty() ? "RejectedNoEndpoints" : "RejectedCapacity";
      series.ended(outcome, 0);
      throw refusalOf(outcome);
    }
    if (this.#requests === 0 && this.#hasRoom(setup, request.priority)) {
      series.ended("Dispatched", 0);
      return undefined;
    }
    return this.#enqueue(request, setup, series, nowMs);
  }

  /** Something has changed that may make room. */
  wake(): void {
    if (this.#requests > 0) this.#look();
  }

  /** Refuses all that waits. */
  close(): void {
    for (const item of this.#items()) this.#end(item, "EvictedOther");
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }

  #isFull({ priority, sizeBytes }: FlowRequest, { config }: FlowSetup): boolean {
    const { maxBytes = Infinity, maxRequests = Infinity } = config;
    if (this.#bytes + sizeBytes > maxBytes || this.#requests + 1 > maxRequests) return true;
    const band = this.#bands.get(priority);
    const limits = bandConfigOf(config, priority);
    return (band?.bytes ?? 0) + sizeBytes > limits.maxBytes || (band?.requests ?? 0) + 1 > limits.maxRequests;
  }

  /** Whether a band may send now. */
  #hasRoom(setup: FlowSetup, priority: number): boolean {
    const priorities = this.#priorities(setup, priority);
    const saturation = this.#options.saturation();
    return saturation < (ceilingsOf(setup, saturation, priorities)[priorities.indexOf(priority)] ?? 1);
  }

  /** Priorities of all bands, configured or in use, the most important first. */
  #priorities({ config }: FlowSetup, ...more: readonly number[]): readonly number[] {
    const all = new Set([...config.bands.map(({ priority }) => priority), ...this.#bands.keys(), ...more]);
    return [...all].toSorted((a, b) => b - a);
  }

  #enqueue(request: FlowRequest, setup: FlowSetup, series: FlowSeries, nowMs: number): Promise<void> {
    const { priority, signal } = request;
    const { config } = setup;
    const queued: QueuedRequest = { ...request, enqueuedAtMs: nowMs, ttlMs: config.requestTtlMs };
    const key = setup.ordering(bandConfigOf(config, priority).orderingPolicy).orderKey(queued);
    return new Promise<void>((resolve, reject) => {
      const item: Item = {
        request: queued,
        key,
        settle: (outcome, waitMs) => {
          signal.removeEventListener("abort", cancel);
          series.left(queued.sizeBytes);
          series.ended(outcome, waitMs);
          if (outcome === "Dispatched") resolve();
          else reject(refusalOf(outcome));
        },
      };
      const cancel = (): void => this.#end(item, "EvictedContextCancelled");
      series.entered(queued.sizeBytes);
      this.#add(item);
      if (signal.aborted) return cancel();
      signal.addEventListener("abort", cancel);
      this.#look();
    });
  }

  #add(item: Item): void {
    const { priority, sizeBytes } = item.request;
    const band = this.#bands.get(priority) ?? new Band(priority);
    this.#bands.set(priority, band);
    band.add(item);
    this.#requests++;
    this.#bytes += sizeBytes;
  }

  /** Takes an item out and tells it what became of it. */
  #end(item: Item, outcome: Outcome): void {
    const { priority, sizeBytes, enqueuedAtMs } = item.request;
    const band = this.#bands.get(priority);
    if (band?.remove(item) !== true) return;
    if (band.requests === 0) this.#bands.delete(priority);
    this.#requests--;
    this.#bytes -= sizeBytes;
    item.settle(outcome, this.#options.clock.now() - enqueuedAtMs);
  }

  /** Lets through what there is room for, drops what has waited too long, and comes back while something waits. */
  #look(): void {
    const { clock, metrics, setup: current } = this.#options;
    const setup = current();
    const nowMs = clock.now();
    this.#noteEmptiness(nowMs);
    if (setup === undefined) for (const item of this.#items()) this.#end(item, "Dispatched");
    else {
      if (nowMs - this.#sweptAtMs >= SWEEP_MS) this.#sweep(setup, nowMs);
      this.#dispatch(setup, nowMs);
      metrics.cycle.observe((clock.now() - nowMs) / 1000);
    }
    if (this.#requests > 0 && this.#cancelTick === undefined)
      this.#cancelTick = clock.after(TICK_MS, () => {
        this.#cancelTick = undefined;
        this.#look();
      });
  }

  #noteEmptiness(nowMs: number): void {
    const isEmpty = this.#options.isEmpty();
    if (isEmpty !== this.#isEmpty) this.#emptySinceMs = nowMs;
    this.#isEmpty = isEmpty;
  }

  #dispatch(setup: FlowSetup, nowMs: number): void {
    const saturation = this.#options.saturation();
    for (let sent = 0; sent < MAX_PER_LOOK && this.#requests > 0; sent++) {
      const item = this.#next(setup, saturation, nowMs);
      if (item === undefined) return;
      this.#end(item, "Dispatched");
    }
  }

  /** The request whose turn it is; undefined where its band has to wait, and so all less important ones. */
  #next(setup: FlowSetup, saturation: number, nowMs: number): Item | undefined {
    const priorities = this.#priorities(setup);
    const ceilings = ceilingsOf(setup, saturation, priorities);
    for (const [index, priority] of priorities.entries()) {
      const band = this.#bands.get(priority);
      if (band === undefined) continue;
      if (saturation >= (ceilings[index] ?? 1)) return undefined;
      const flows = [...band.flows.values()];
      const { fairnessPolicy } = bandConfigOf(setup.config, priority);
      const chosen = setup.fairness(fairnessPolicy).chooseFlow({ priority, flows, nowMs });
      const [item] = flows[chosen]?.items ?? [];
      if (item !== undefined) return item;
    }
    return undefined;
  }

  /** Each change between an empty pool and one that is not begins the wait anew. */
  #sweep({ config }: FlowSetup, nowMs: number): void {
    this.#sweptAtMs = nowMs;
    for (const item of this.#items()) {
      const { enqueuedAtMs, ttlMs } = item.request;
      const budget = this.#isEmpty ? config.noEndpointTtlMs : ttlMs;
      if (budget > 0 && nowMs >= Math.max(enqueuedAtMs, this.#emptySinceMs) + budget)
        this.#end(item, this.#isEmpty ? "EvictedNoEndpoints" : "EvictedTTL");
    }
  }

  #items(): Item[] {
    return [...this.#bands.values()].flatMap(({ flows }) => [...flows.values()].flatMap(({ items }) => items));
  }
}

/** Limits and policies of a band: configured, or of the template for its sign. */
export function bandConfigOf(config: FlowControlConfig, priority: number): BandConfig {
  return (
    config.bands.find((band) => band.priority === priority) ?? (priority < 0 ? config.negativeBand : config.defaultBand)
  );
}

function ceilingsOf({ usageLimit }: FlowSetup, saturation: number, priorities: readonly number[]): Float64Array {
  const ceilings = new Float64Array(priorities.length).fill(1);
  usageLimit.ceilings(saturation, priorities, ceilings);
  return ceilings;
}
