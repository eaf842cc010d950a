import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 50;

/**
 * Asks `probe` until it gives something other than undefined or false. Error: `not in time: <what>` after `timeoutMs`; what
 * `probe` throws ends the wait too.
 */
export async function waitFor<T>(
  timeoutMs: number,
  what: string,
  probe: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`not in time (${timeoutMs / 1000} s): ${what}`);
    await delay(POLL_MS);
  }
}
