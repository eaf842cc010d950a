import { setTimeout as pause } from "node:timers/promises";

/** How long, and how often, something is looked at. */
export interface Patience {
  /** Time until it is given up, ms; 20 s by default. */
  readonly timeoutMs?: number;
  /** Time between two looks, ms; 50 by default. */
  readonly pollMs?: number;
  /** What a failure tells beside what was awaited. */
  readonly detail?: () => string;
}

/**
 * Looks again and again until `probe` gives something other than undefined or false, and returns it. What `probe` throws
 * ends the wait. Error: when the time is over, with what was awaited and `detail`.
 */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  { timeoutMs = 20_000, pollMs = 50, detail }: Patience = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline)
      throw new Error([`${what}: not within ${timeoutMs} ms`, ...(detail === undefined ? [] : [detail()])].join("\n"));
    await pause(pollMs);
  }
}

/** A value that stayed the same. */
export interface Still<T> {
  readonly value: T;
  /** When it was first seen, on the monotonic clock in ms. */
  readonly sinceMs: number;
}

/**
 * Reads again and again until a value is the same for `stillMs`, compared by `===`; undefined is none yet. What `read` throws
 * ends the wait. Error: when the time is over.
 */
export async function untilStill<T>(
  what: string,
  stillMs: number,
  read: () => T | undefined | Promise<T | undefined>,
  patience: Patience = {},
): Promise<Still<T>> {
  let last: Still<T> | undefined;
  return await until(
    what,
    async () => {
      const value = await read();
      if (value === undefined) last = undefined;
      else if (value !== last?.value) last = { value, sinceMs: performance.now() };
      return last !== undefined && performance.now() - last.sinceMs >= stillMs && last;
    },
    patience,
  );
}
