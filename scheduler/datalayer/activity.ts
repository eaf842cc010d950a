/** How long after its last request a pool counts as busy, in ms. */
const BUSY_MS = 2000;

/**
 * Whether requests arrive. Metrics of an idle pool are read rarely; the first request after a pause makes the pool busy, and
 * whoever listens reads them at once.
 */
export class Activity {
  readonly #listeners = new Set<() => void>();
  #lastMs = -Infinity;

  /** Whether a request arrived within the last two seconds. */
  busy(nowMs: number): boolean {
    return nowMs - this.#lastMs < BUSY_MS;
  }

  /** A request arrived. Returns whether the pool was idle until now. */
  touch(nowMs: number): boolean {
    const woken = !this.busy(nowMs);
    this.#lastMs = nowMs;
    if (woken) for (const listener of this.#listeners) listener();
    return woken;
  }

  /** Told when the pool turns busy. The returned function removes the listener. */
  onWake(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
