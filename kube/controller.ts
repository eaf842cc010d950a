import { describeError, type Logger, silentLogger, VERBOSITY } from "../telemetry/log.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { ControllerMeter, ControllerMetrics, ReconcileOutcome } from "./controller-metrics.ts";
import type { RateLimits } from "./rate-limiter.ts";
import { isConflict, KubeError, keyOf, type ObjectKey, parseKey } from "./types.ts";
import { WorkQueue } from "./workqueue.ts";

/** A failure that repetition cannot cure, such as an invalid object: it waits for the next change instead. */
export class TerminalError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "TerminalError";
  }
}

/** What a reconcile asks for: nothing, or to be called again after a time. */
export interface ReconcileResult {
  readonly requeueAfterMs?: number | undefined;
}

/** What a reconcile is given besides the key. */
export interface ReconcileContext {
  /** Aborts when the controller closes. */
  readonly signal: AbortSignal;
  /** Carries the key. */
  readonly logger: Logger;
}

/** Brings one object to its desired state. What it throws leads to a repetition with back-off. */
export type Reconcile = (key: ObjectKey, context: ReconcileContext) => Promise<ReconcileResult>;

/** What a controller takes. */
export interface ControllerOptions {
  /** Label of logs and metrics. */
  readonly name: string;
  readonly reconcile: Reconcile;
  /** Keys worked on at once; default 1. One key is never worked on twice at once. */
  readonly workers?: number;
  readonly logger?: Logger;
  readonly metrics?: ControllerMetrics;
  readonly clock?: Clock;
  readonly limits?: RateLimits;
}

/** A queue of keys and the workers that reconcile them. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #queue: WorkQueue;
  readonly #abort = new AbortController();
  readonly #idleWaiters: (() => void)[] = [];
  readonly #meter: ControllerMeter | undefined;
  #workers: Promise<unknown> | undefined;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = (options.logger ?? silentLogger).child({ controller: options.name });
    const { name, limits, workers = 1 } = options;
    this.#meter = options.metrics?.of(name, workers);
    this.#queue = new WorkQueue({ clock: this.#clock, limits, meter: this.#meter?.queue });
  }

  /** Adds an object to the queue; adding it twice costs one reconcile. Urgent ones go before all others. */
  enqueue(key: ObjectKey | string, urgent = false): void {
    this.#queue.add(typeof key === "string" ? key : keyOf(key), urgent);
  }

  /** Adds an object after a time. */
  enqueueAfter(key: ObjectKey | string, delayMs: number): void {
    this.#queue.addAfter(typeof key === "string" ? key : keyOf(key), delayMs);
  }

  /** Begins to work; a second call does nothing. Keys may be added before. */
  start(): void {
    this.#workers ??= Promise.all(Array.from({ length: this.#options.workers ?? 1 }, () => this.#work()));
  }

  /** Whether nothing is ready, delayed or being worked on. */
  get idle(): boolean {
    return this.#queue.idle;
  }

  /** Resolves when `idle`. */
  whenIdle(): Promise<void> {
    if (this.#queue.idle) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Drops what waits, aborts what runs and waits for it to end. */
  async close(): Promise<void> {
    this.#abort.abort(new Error(`controller ${this.#options.name} closed`));
    this.#queue.shutDown();
    await this.#workers;
  }

  async #work(): Promise<void> {
    for (let key = await this.#queue.get(); key !== undefined; key = await this.#queue.get()) {
      if (!this.#abort.signal.aborted) await this.#reconcile(key);
      this.#queue.done(key);
      if (this.#queue.idle) for (const resolve of this.#idleWaiters.splice(0)) resolve();
    }
  }

  async #reconcile(key: string): Promise<void> {
    const startedAt = this.#clock.now();
    const { name, namespace } = parseKey(key);
    const logger = this.#logger.child({ namespace, name });
    const end = this.#meter?.begin();
    const outcome = await this.#outcome(key, logger);
    end?.(outcome, this.#clock.now() - startedAt);
  }

  async #outcome(key: string, logger: Logger): Promise<ReconcileOutcome> {
    try {
      const { requeueAfterMs } = await this.#options.reconcile(parseKey(key), { signal: this.#abort.signal, logger });
      this.#queue.forget(key);
      if (requeueAfterMs === undefined) return "success";
      this.#queue.addAfter(key, requeueAfterMs);
      return "requeue_after";
    } catch (error) {
      return this.#failed(key, error, logger);
    }
  }

  #failed(key: string, error: unknown, logger: Logger): ReconcileOutcome {
    if (this.#abort.signal.aborted) return "error";
    if (error instanceof TerminalError) {
      this.#queue.forget(key);
      logger.error("reconcile failed for good", { error });
      return "terminal";
    }
    const fields = { error: describeError(error), failures: this.#queue.failures(key) + 1 };
    if (isConflict(error)) logger.v(VERBOSITY.verbose, "reconcile met a conflict", fields);
    else logger.error("reconcile failed", fields);
    this.#repeat(key, error);
    return "error";
  }

  #repeat(key: string, error: unknown): void {
    const asked = error instanceof KubeError ? error.retryAfterSeconds : undefined;
    if (asked === undefined) this.#queue.addRateLimited(key);
    else this.#queue.addAfter(key, asked * 1000);
  }
}

/** Creates a controller and starts it. */
export function startController(options: ControllerOptions): Controller {
  const controller = new Controller(options);
  controller.start();
  return controller;
}
