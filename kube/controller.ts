import { type Logger, describeError } from "../telemetry/log.ts";
import { type Clock, systemClock } from "./clock.ts";
import { isConflict } from "./types.ts";
import { WorkQueue } from "./workqueue.ts";

/** What a pass over one key asks for. */
export interface ReconcileResult {
  /** Look again after this long, even if nothing changes. */
  readonly requeueAfterMs?: number | undefined;
}

/** Brings what one key names into the wanted state. What it throws is tried again with growing delays. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<ReconcileResult | undefined>;

/** Parts of a controller. */
export interface ControllerOptions {
  readonly name: string;
  readonly reconcile: Reconcile;
  /** Keys worked on at once; default 1. */
  readonly workers?: number | undefined;
  readonly logger: Logger;
  readonly clock?: Clock | undefined;
  /** Told of each pass: how it ended and how many seconds it took. */
  readonly onPass?: ((outcome: "success" | "error" | "requeue_after", seconds: number) => void) | undefined;
}

/** A running controller. */
export interface Controller {
  readonly queue: WorkQueue;
  /** Drops what waits and resolves when the running passes ended. */
  close(): Promise<void>;
}

/** Starts the workers of a controller over a queue of keys. */
export function startController(options: ControllerOptions): Controller {
  const clock = options.clock ?? systemClock;
  const queue = new WorkQueue(clock);
  const stop = new AbortController();
  const pass = async (key: string): Promise<void> => {
    const startedAt = clock.now();
    const finish = (outcome: "success" | "error" | "requeue_after"): void =>
      options.onPass?.(outcome, (clock.now() - startedAt) / 1000);
    try {
      const result = await options.reconcile(key, stop.signal);
      queue.forget(key);
      if (result?.requeueAfterMs !== undefined) queue.addAfter(key, result.requeueAfterMs);
      finish(result?.requeueAfterMs === undefined ? "success" : "requeue_after");
    } catch (error) {
      if (stop.signal.aborted) return;
      finish("error");
      report(options, key, error, queue.failures(key));
      queue.addRateLimited(key);
    } finally {
      queue.done(key);
    }
  };
  const work = async (): Promise<void> => {
    for (let key = await queue.take(); key !== undefined; key = await queue.take())
      if (stop.signal.aborted) queue.done(key);
      else await pass(key);
  };
  const workers = Array.from({ length: options.workers ?? 1 }, work);
  return {
    queue,
    close: async () => {
      stop.abort(new Error("the controller was closed"));
      queue.close();
      await Promise.all(workers);
    },
  };
}

/** A write against an object that changed meanwhile is ordinary and tried again in silence. */
function report(options: ControllerOptions, key: string, error: unknown, failures: number): void {
  const fields = { controller: options.name, key, failures: failures + 1, error: describeError(error) };
  if (isConflict(error)) options.logger.v(3, "reconciling again after a conflict", fields);
  else options.logger.error("reconciling failed", fields);
}
