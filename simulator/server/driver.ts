import { Engine, type EngineRequest, stepDurationMs, type StepWork } from "../engine/engine.ts";
import { jitter, type Random } from "../engine/random.ts";
import type { SimulatorOptions } from "./options.ts";

/** Clock of a running simulator; tests replace it with a virtual one. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Calls `run` after `delayMs`. */
  after(delayMs: number, run: () => void): void;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, run) => void setTimeout(run, delayMs),
};

/** What a submitted request is told while it runs. */
export interface Progress {
  admitted(cachedTokens: number): void;
  token(index: number, finished: boolean): void;
}

/** Runs an engine in real time: one step after the other while there is work. */
export class EngineDriver {
  readonly engine: Engine;
  readonly #options: SimulatorOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #progress = new Map<string, Progress>();
  #stepping = false;
  #nextStepAt = 0;

  constructor(options: SimulatorOptions, clock: Clock, random: Random) {
    this.engine = new Engine(options);
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
  }

  submit(request: EngineRequest, progress: Progress): void {
    this.#progress.set(request.id, progress);
    this.engine.submit(request);
    if (this.#stepping) return;
    this.#stepping = true;
    this.#nextStepAt = this.#clock.now();
    this.#clock.after(0, () => this.#step());
  }

  abort(id: string): void {
    this.#progress.delete(id);
    this.engine.abort(id);
  }

  #step(): void {
    const work = this.engine.beginStep();
    if (work === undefined) {
      this.#stepping = false;
      return;
    }
    for (const { id, cachedTokens } of this.engine.admissions) this.#progress.get(id)?.admitted(cachedTokens);
    this.#nextStepAt = Math.max(this.#nextStepAt, this.#clock.now() - 50) + this.#durationMs(work);
    this.#clock.after(this.#nextStepAt - this.#clock.now(), () => this.#finishStep());
  }

  #finishStep(): void {
    for (const { id, index, finished } of this.engine.endStep()) {
      const progress = this.#progress.get(id);
      if (finished) this.#progress.delete(id);
      progress?.token(index, finished);
    }
    this.#step();
  }

  #durationMs(work: StepWork): number {
    const { statedLatency, costs, timeFactorUnderLoad, maxNumSeqs } = this.#options;
    const load = maxNumSeqs <= 1 ? 0 : (this.engine.runningCount - 1) / (maxNumSeqs - 1);
    const factor = 1 + (timeFactorUnderLoad - 1) * load;
    if (statedLatency === undefined) return stepDurationMs(work, costs) * factor;
    const { timeToFirstTokenMs, timeToFirstTokenStdDevMs, interTokenLatencyMs, interTokenLatencyStdDevMs } =
      statedLatency;
    const prefill =
      timeToFirstTokenMs > 0
        ? jitter(this.#random, timeToFirstTokenMs, timeToFirstTokenStdDevMs)
        : statedLatency.prefillOverheadMs + work.prefillTokens * statedLatency.prefillTimePerTokenMs;
    const decode = jitter(this.#random, interTokenLatencyMs, interTokenLatencyStdDevMs);
    return Math.max(work.prefillTokens > 0 ? prefill : 0, work.decodeRequests > 0 ? decode : 0) * factor;
  }
}
