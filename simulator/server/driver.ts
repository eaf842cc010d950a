import { Engine } from "../engine/engine.ts";
import { jitter, type Random } from "../engine/random.ts";
import type { EngineRequest, Transfer } from "../engine/requests.ts";
import { stepDurationMs, type StepWork, transferDurationMs } from "../engine/step-costs.ts";
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
  /** The prompt's KV blocks have come from another engine. */
  transferred(): void;
  /** Less of the prompt is cached than the request asks for; nothing else follows. */
  refused(): void;
}

/** How long blocks are held for an engine that does not fetch them, ms: the default of vLLM's NIXL connector. */
const HOLD_MS = 480_000;

/** Runs an engine in real time: one step after the other while there is work. */
export class EngineDriver {
  readonly engine: Engine;
  readonly #options: SimulatorOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #progress = new Map<string, Progress>();
  /** When finished requests give up what they hold for another engine, by id, in order. */
  readonly #heldUntil = new Map<string, number>();
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
    this.#wake();
  }

  abort(id: string): void {
    this.#progress.delete(id);
    this.engine.abort(id);
  }

  /** Another engine has fetched the blocks of a finished request. False where none are held. */
  release(id: string): boolean {
    this.#heldUntil.delete(id);
    const held = this.engine.releaseHeld(id);
    if (held) this.#wake();
    return held;
  }

  /** Gives up blocks that nobody has fetched in time. */
  expireHeld(): void {
    const now = this.#clock.now();
    for (const [id, until] of this.#heldUntil) {
      if (until > now) return;
      this.release(id);
    }
  }

  #wake(): void {
    if (this.#stepping) return;
    this.#stepping = true;
    this.#nextStepAt = this.#clock.now();
    this.#clock.after(0, () => this.#step());
  }

  #step(): void {
    const work = this.engine.beginStep();
    for (const transfer of this.engine.transfers) this.#startTransfer(transfer);
    for (const id of this.engine.refusals) this.#refuse(id);
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
      if (this.engine.heldBlocks(id).length > 0) this.#heldUntil.set(id, this.#clock.now() + HOLD_MS);
      progress?.token(index, finished);
    }
    this.#step();
  }

  #refuse(id: string): void {
    const progress = this.#progress.get(id);
    this.#progress.delete(id);
    progress?.refused();
  }

  #startTransfer(transfer: Transfer): void {
    this.#clock.after(this.#transferMs(transfer), () => {
      this.engine.endTransfer(transfer.id);
      this.#progress.get(transfer.id)?.transferred();
      this.#wake();
    });
  }

  #transferMs({ promptTokens, missingTokens }: Transfer): number {
    const { statedTransfer, transferCosts } = this.#options;
    if (statedTransfer === undefined) return transferDurationMs(missingTokens, transferCosts);
    const { latencyMs, latencyStdDevMs, timePerTokenMs, timeStdDevMs } = statedTransfer;
    if (latencyMs > 0) return jitter(this.#random, latencyMs, latencyStdDevMs);
    return jitter(this.#random, promptTokens * timePerTokenMs, timeStdDevMs);
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
    return (
      Math.max(work.prefillTokens > 0 ? prefill : 0, work.decodeRequests > work.resumedRequests ? decode : 0) * factor
    );
  }
}
