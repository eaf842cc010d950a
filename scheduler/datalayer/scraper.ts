import type { Clock } from "../../kube/clock.ts";
import { describeError, type Logger, VERBOSITY } from "../../telemetry/log.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import type { Activity } from "./activity.ts";
import type { EndpointStore } from "./endpoint-store.ts";
import { type EngineTable, engineOf } from "./engines.ts";
import type { PageClient } from "./page-client.ts";
import { isExposition, readSample } from "./sample.ts";
import { ScrapeError } from "./scrape-error.ts";
import type { ScrapeMetrics } from "./scrape-metrics.ts";

/** How often metrics are read. */
export interface ScrapePace {
  /** Between the starts of two scrapes of an endpoint while requests arrive, in ms. */
  readonly intervalMs: number;
  /** The same while none arrive. */
  readonly idleIntervalMs: number;
}

/** What a scraper works with. */
export interface ScraperOptions {
  readonly store: EndpointStore;
  readonly pages: PageClient;
  readonly engines: EngineTable;
  readonly pace: ScrapePace;
  readonly activity: Activity;
  readonly metrics: ScrapeMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Pause after the first fault and its bound; each further fault doubles it. */
const MAX_BACKOFF_MS = 1000;
/** What a server may ask for by Retry-After. */
const MAX_RETRY_AFTER_MS = 10_000;

/** Reads the metrics of every endpoint of the store until closed. An endpoint is never asked twice at once. */
export function startScraper(options: ScraperOptions): () => void {
  const { store, activity, pages, pace, clock } = options;
  const loops = new Map<number, ScrapeLoop>();
  const begin = (slot: number): void => {
    const loop = new ScrapeLoop(slot, options);
    loops.set(slot, loop);
    loop.start();
  };
  const end = (slot: number): void => {
    loops.get(slot)?.stop();
    loops.delete(slot);
  };
  const closers = [
    store.subscribe({ onEndpointAdded: begin, onEndpointRemoved: end }),
    activity.onWake(() => {
      const scrapes = [...loops.values()].map((loop) => loop.wake()).filter((done) => done !== undefined);
      return scrapes.length === 0 ? undefined : within(pace.intervalMs, Promise.all(scrapes), clock);
    }),
  ];
  for (const slot of store.slots()) begin(slot);
  return () => {
    for (const close of closers) close();
    for (const slot of loops.keys()) end(slot);
    pages.close();
  };
}

/** Resolves when the work is done, or after `limitMs`: a page that stalls must not hold requests up. */
function within(limitMs: number, work: Promise<unknown>, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(limitMs, resolve);
    void work.then(() => {
      cancel();
      resolve();
    });
  });
}

/** The scrapes of one endpoint, one after the other. */
class ScrapeLoop {
  readonly #slot: number;
  readonly #generation: number;
  readonly #options: ScraperOptions;
  readonly #abort = new AbortController();
  #cancel: (() => void) | undefined;
  #startedAt = 0;
  /** The scrape under way; undefined between two. */
  #scraping: Promise<void> | undefined;
  #faults = 0;
  #retryAfterMs = 0;
  #lastProblem = "";

  constructor(slot: number, options: ScraperOptions) {
    this.#slot = slot;
    this.#options = options;
    this.#generation = options.store.generation[slot] ?? 0;
  }

  /** Begins within one interval: endpoints spread over it. */
  start(): void {
    const { clock, pace } = this.#options;
    this.#after(clock.random() * pace.intervalMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#abort.abort();
  }

  /**
   * The pool turned busy: what was read longer ago than a short interval is read at once. Returns that scrape; undefined where
   * none is due, or the endpoint is at fault and answers when it will.
   */
  wake(): Promise<void> | undefined {
    const { clock, pace } = this.#options;
    if (this.#faults > 0 || this.#abort.signal.aborted) return undefined;
    if (this.#scraping !== undefined) return this.#scraping;
    this.#cancel?.();
    if (this.#startedAt > 0 && clock.now() - this.#startedAt < pace.intervalMs) {
      this.#after(this.#startedAt + pace.intervalMs - clock.now());
      return undefined;
    }
    // All endpoints are read at the same moment now; their next turns spread over the interval again.
    void this.#run(clock.random());
    return this.#scraping;
  }

  #after(delayMs: number): void {
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#cancel = undefined;
      void this.#run();
    });
  }

  /** `share` of the usual pause follows, less what the scrape took. */
  async #run(share = 1): Promise<void> {
    const { clock } = this.#options;
    this.#startedAt = clock.now();
    this.#scraping = this.#scrape();
    await this.#scraping;
    this.#scraping = undefined;
    if (this.#abort.signal.aborted) return;
    const period = this.#faults === 0 ? share * this.#periodMs() : this.#periodMs();
    this.#after(Math.max(0, this.#startedAt + period - clock.now()));
  }

  #periodMs(): number {
    const { pace, activity, clock } = this.#options;
    const usual = activity.busy(clock.now()) ? pace.intervalMs : pace.idleIntervalMs;
    if (this.#faults === 0) return usual;
    const backoff = Math.min(MAX_BACKOFF_MS, pace.intervalMs * 2 ** Math.min(this.#faults, 16));
    return Math.max(usual, backoff, this.#retryAfterMs);
  }

  async #scrape(): Promise<void> {
    const { store, pages, clock, metrics } = this.#options;
    const metadata = store.metadata(this.#slot);
    try {
      const page = await pages.fetch(metadata, this.#abort.signal);
      if (this.#abort.signal.aborted) return;
      this.#take(page, metadata);
      this.#faults = 0;
      metrics.succeeded(clock.now() - this.#startedAt, page.length);
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#fail(error, metadata);
    }
  }

  #take(page: Buffer, metadata: EndpointMetadata): void {
    const { store, engines, clock, metrics } = this.#options;
    if (!isExposition(page)) throw new ScrapeError("not-metrics", "the page is no Prometheus text; is its path right?");
    const { sample, missing } = readSample(page, engineOf(metadata.labels, engines));
    store.update(this.#slot, this.#generation, sample, clock.now());
    if (missing.length > 0) metrics.missing();
    this.#tell(missing.length === 0 ? "" : `page without ${missing.join(", ")}`, metadata);
  }

  #fail(error: unknown, metadata: EndpointMetadata): void {
    this.#faults++;
    const known = error instanceof ScrapeError ? error : undefined;
    this.#retryAfterMs = Math.min(known?.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
    this.#options.metrics.failed(known?.fault ?? "unreachable");
    this.#tell(describeError(error), metadata);
  }

  /** Logs a problem when it begins, and at high verbosity each time. */
  #tell(problem: string, { name, metricsHost }: EndpointMetadata): void {
    const { logger } = this.#options;
    const fields = { endpoint: name, address: metricsHost, problem };
    if (problem !== "" && problem === this.#lastProblem) logger.v(VERBOSITY.trace, "dispatch failed", fields);
    else if (problem !== "") logger.v(VERBOSITY.verbose, "cannot read all metrics of an endpoint", fields);
    else if (this.#lastProblem !== "")
      logger.v(VERBOSITY.verbose, "metrics of an endpoint are read again", { endpoint: name });
    else if (logger.enabled(VERBOSITY.trace)) logger.v(VERBOSITY.trace, "Refreshed metrics", { endpoint: name });
    this.#lastProblem = problem;
  }
}
