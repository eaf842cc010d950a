/** Why a page was not read, in a few kinds that are counted. */
export type ScrapeFault = "unreachable" | "timeout" | "status" | "too-large" | "not-metrics";

/** A page that could not be read. `retryAfterMs` is what the server asked for, if it did. */
export class ScrapeError extends Error {
  readonly fault: ScrapeFault;
  readonly retryAfterMs: number;

  constructor(fault: ScrapeFault, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "ScrapeError";
    this.fault = fault;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}
