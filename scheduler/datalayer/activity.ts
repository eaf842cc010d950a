/** How long after its last request a pool counts as busy, in ms. */
const BUSY_MS = 2000;

/** Reads what is outdated; undefined where nothing is. */
export type Refresh = () => Promise<void> | undefined;

/**
 * Whether requests arrive. Metrics of an idle pool are read rarely; the first request after a pause makes the pool busy, and
 * waits until they have been read again.
 */
export class Activity {
  readonly #listeners = new Set<Refresh>();
  #lastMs = -Infinity;
  #refreshing: Promise<void> | undefined;

  /** Whether a request arrived within the last two seconds. */
  busy(nowMs: number): boolean {
    return nowMs - this.#lastMs < BUSY_MS;
  }

  /** A request arrived. Returns what it has to wait for until metrics are as fresh as those of a busy pool; undefined: they are. */
  touch(nowMs: number): Promise<void> | undefined {
    const woken = !this.busy(nowMs);
    this.#lastMs = nowMs;
    if (woken) this.#refresh();
    return this.#refreshing;
  }

  /** Told when the pool turns busy. The returned function removes the listener. */
  onWake(listener: Refresh): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #refresh(): void {
    const started = [...this.#listeners].map((listener) => listener()).filter((done) => done !== undefined);
    if (started.length === 0) return;
    const all = Promise.all(started).then(() => {
      if (this.#refreshing === all) this.#refreshing = undefined;
    });
    this.#refreshing = all;
  }
}
