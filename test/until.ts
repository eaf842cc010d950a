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
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms\n${detail?.() ?? ""}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
