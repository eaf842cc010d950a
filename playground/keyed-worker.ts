import { type Logger, describeError } from "../telemetry/log.ts";

/** Wait after the first failure of a key; doubled with each further one. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;

/** Handles keys one at a time; a key that is added again while it waits is handled once. */
export interface KeyedWorker {
  /** Handles the key soon, or after `delayMs`. */
  add(key: string, delayMs?: number): void;
  /** Drops what waits and resolves when the running pass ended. */
  close(): Promise<void>;
}

/**
 * Starts a worker. `handle` brings one key into the wanted state and returns a delay in ms after which it wants to look
 * again; a key whose pass throws is retried with growing delays.
 */
export function createKeyedWorker(handle: (key: string) => Promise<number | undefined>, logger: Logger): KeyedWorker {
  const waiting = new Set<string>();
  const timers = new Map<string, NodeJS.Timeout>();
  const failures = new Map<string, number>();
  let running: Promise<void> | undefined;
  let closed = false;
  const add = (key: string, delayMs = 0): void => {
    if (closed) return;
    if (delayMs > 0) return later(key, delayMs);
    waiting.add(key);
    running ??= drain().finally(() => (running = undefined));
  };
  const later = (key: string, delayMs: number): void => {
    clearTimeout(timers.get(key));
    const timer = setTimeout(() => {
      timers.delete(key);
      add(key);
    }, delayMs);
    timers.set(key, timer.unref());
  };
  const handleOne = async (key: string): Promise<void> => {
    try {
      const again = await handle(key);
      failures.delete(key);
      if (again !== undefined && !closed) later(key, again);
    } catch (error) {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      if (!closed) logger.v(3, "try again", { key, error: describeError(error) });
      if (!closed) later(key, Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** count));
    }
  };
  const drain = async (): Promise<void> => {
    await Promise.resolve();
    for (const key of waiting) {
      waiting.delete(key);
      if (!closed) await handleOne(key);
    }
  };
  return {
    add,
    close: async () => {
      closed = true;
      waiting.clear();
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
      await running;
    },
  };
}
