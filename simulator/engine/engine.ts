import { BlockPool, type BlockListener } from "./block-pool.ts";
import { hashBlocks } from "./tokens.ts";

/**
 * Duration of one engine step in microseconds: c0 + cp·P + ca·A + cd·D + ck·K with P uncached prefill tokens,
 * A = Σ n·(context before + n/2) over prefill chunks, D decode requests, K = Σ context lengths of decode requests.
 */
export interface StepCosts {
  readonly fixed: number;
  readonly perPrefillToken: number;
  readonly perAttendedPair: number;
  readonly perDecodeRequest: number;
  readonly perContextToken: number;
}

/** Costs fitted for Llama 3.1 8B on one H100 from published measurements (BLIS / inference-sim). */
export const LLAMA_8B_H100: StepCosts = {
  fixed: 6500,
  perPrefillToken: 22,
  perAttendedPair: 0.0006,
  perDecodeRequest: 20,
  perContextToken: 0.076,
};

/** Limits of an engine, named as vLLM's arguments. */
export interface EngineLimits {
  /** Blocks of KV cache, of which one is reserved. */
  readonly numGpuBlocks: number;
  /** Tokens per block. */
  readonly blockSize: number;
  /** Requests in one batch. */
  readonly maxNumSeqs: number;
  /** Tokens computed in one step. */
  readonly maxNumBatchedTokens: number;
  /** Distinct adapters in one batch. */
  readonly maxLoras: number;
  readonly enablePrefixCaching: boolean;
}

/** What one step computed, from which its duration follows. */
export interface StepWork {
  readonly prefillTokens: number;
  readonly attendedPairs: number;
  readonly decodeRequests: number;
  readonly contextTokens: number;
}

/** A request as submitted: all its tokens are known from the start, since the answer is simulated. */
export interface EngineRequest {
  readonly id: string;
  readonly promptTokens: readonly number[];
  /** Tokens the engine will generate, at least one. */
  readonly outputTokens: readonly number[];
  /** Adapter name, or "" for the base model. */
  readonly adapter: string;
}

/** Progress of one request after a step. */
export interface Emission {
  readonly id: string;
  /** Index of the generated token. */
  readonly index: number;
  readonly finished: boolean;
}

/** Totals since the engine started. */
export interface EngineCounters {
  prefixQueryTokens: number;
  prefixHitTokens: number;
  preemptions: number;
  promptTokens: number;
  generationTokens: number;
}

interface Sequence {
  readonly request: EngineRequest;
  readonly tokens: readonly number[];
  readonly hashes: readonly number[];
  computed: number;
  generated: number;
  stored: number;
  admitted: boolean;
  cachedTokens: number;
  blocks: number[];
}

interface Scheduled {
  readonly sequence: Sequence;
  readonly count: number;
}

/** What happened when a request first entered the batch. */
export interface Admission {
  readonly id: string;
  readonly cachedTokens: number;
}

/**
 * The scheduler of vLLM V1 with continuous batching, chunked prefill, prefix caching and preemption by recompute, as a
 * synchronous state machine without a clock: `beginStep` chooses the work of a step, `endStep` applies it.
 */
export class Engine {
  readonly limits: EngineLimits;
  readonly pool: BlockPool;
  readonly counters: EngineCounters = {
    prefixQueryTokens: 0,
    prefixHitTokens: 0,
    preemptions: 0,
    promptTokens: 0,
    generationTokens: 0,
  };
  readonly #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  #scheduled: Scheduled[] = [];
  #admissions: Admission[] = [];

  constructor(limits: EngineLimits, listener?: BlockListener) {
    this.limits = limits;
    this.pool = new BlockPool(limits.numGpuBlocks, listener);
  }

  get runningCount(): number {
    return this.#running.length;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  get idle(): boolean {
    return this.#running.length === 0 && this.#waiting.length === 0;
  }

  /** Adapters of running requests, and of waiting ones, each without duplicates. */
  get adapters(): { readonly running: string[]; readonly waiting: string[] } {
    const names = (sequences: readonly Sequence[]) => [
      ...new Set(sequences.map((sequence) => sequence.request.adapter).filter((name) => name !== "")),
    ];
    return { running: names(this.#running), waiting: names(this.#waiting) };
  }

  /** Whether the request could ever run: its tokens must fit into the whole cache. */
  fits(tokenCount: number): boolean {
    return this.#blocksFor(tokenCount) < this.limits.numGpuBlocks;
  }

  submit(request: EngineRequest): void {
    const tokens = [...request.promptTokens, ...request.outputTokens];
    const hashes = this.limits.enablePrefixCaching ? hashBlocks(tokens, this.limits.blockSize, request.adapter) : [];
    this.#waiting.push({
      request,
      tokens,
      hashes,
      computed: 0,
      generated: 0,
      stored: 0,
      admitted: false,
      cachedTokens: 0,
      blocks: [],
    });
  }

  /** Drops a request wherever it is; unknown ids are ignored. */
  abort(id: string): void {
    const same = (sequence: Sequence) => sequence.request.id === id;
    const waiting = this.#waiting.findIndex(same);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    const running = this.#running.find(same);
    if (running === undefined) return;
    this.#running = this.#running.filter((sequence) => sequence !== running);
    this.#scheduled = this.#scheduled.filter(({ sequence }) => sequence !== running);
    this.#free(running);
  }

  /** Chooses the tokens of the next step. Undefined when there is nothing to compute. */
  beginStep(): StepWork | undefined {
    this.#scheduled = [];
    this.#admissions = [];
    let budget = this.limits.maxNumBatchedTokens;
    const preemptedBefore = this.counters.preemptions;
    budget = this.#scheduleRunning(budget);
    if (this.counters.preemptions === preemptedBefore) this.#admitWaiting(budget);
    return this.#scheduled.length === 0 ? undefined : this.#work();
  }

  /** Requests that entered the batch in the step begun last. */
  get admissions(): readonly Admission[] {
    return this.#admissions;
  }

  /** Applies the step begun last and tells which requests got a token. */
  endStep(): Emission[] {
    const emissions: Emission[] = [];
    for (const { sequence, count } of this.#scheduled) {
      sequence.computed += count;
      if (sequence.computed === this.#target(sequence)) emissions.push(this.#emit(sequence));
      this.#storeFullBlocks(sequence);
    }
    const done = new Set(emissions.filter((emission) => emission.finished).map((emission) => emission.id));
    for (const sequence of this.#running) if (done.has(sequence.request.id)) this.#free(sequence);
    this.#running = this.#running.filter((sequence) => !done.has(sequence.request.id));
    this.#scheduled = [];
    return emissions;
  }

  /** Tokens that have to be computed before the next token can be emitted. */
  #target(sequence: Sequence): number {
    return sequence.request.promptTokens.length + sequence.generated;
  }

  #emit(sequence: Sequence): Emission {
    const index = sequence.generated++;
    this.counters.generationTokens++;
    return { id: sequence.request.id, index, finished: sequence.generated === sequence.request.outputTokens.length };
  }

  #scheduleRunning(available: number): number {
    let budget = available;
    for (let position = 0; position < this.#running.length && budget > 0; position++) {
      const sequence = this.#running[position]!;
      const count = Math.min(this.#target(sequence) - sequence.computed, budget);
      if (count <= 0) continue;
      if (!this.#allocateOrPreempt(sequence, sequence.computed + count)) break;
      this.#scheduled.push({ sequence, count });
      budget -= count;
    }
    return budget;
  }

  /** Gets blocks for `tokens`, preempting requests from the batch's end. False when the request itself had to go. */
  #allocateOrPreempt(sequence: Sequence, tokens: number): boolean {
    while (!this.#allocate(sequence, tokens)) {
      const victim = this.#running.at(-1)!;
      this.#preempt(victim);
      if (victim === sequence) return false;
    }
    return true;
  }

  #preempt(victim: Sequence): void {
    this.#running.pop();
    this.#scheduled = this.#scheduled.filter(({ sequence }) => sequence !== victim);
    this.#free(victim);
    victim.computed = 0;
    victim.stored = 0;
    this.#waiting.unshift(victim);
    this.counters.preemptions++;
  }

  #admitWaiting(available: number): void {
    let budget = available;
    const adapters = new Set(this.adapters.running);
    const aside: Sequence[] = [];
    while (this.#waiting.length > 0 && budget > 0 && this.#running.length < this.limits.maxNumSeqs) {
      const head = this.#waiting[0]!;
      const { adapter } = head.request;
      if (adapter !== "" && !adapters.has(adapter) && adapters.size >= this.limits.maxLoras) {
        aside.push(this.#waiting.shift()!);
        continue;
      }
      const count = this.#admit(head, budget);
      if (count === 0) break;
      if (adapter !== "") adapters.add(adapter);
      this.#waiting.shift();
      budget -= count;
    }
    this.#waiting.unshift(...aside);
  }

  /** Moves the head of the waiting queue into the batch. Returns its tokens in this step, 0 when blocks are short. */
  #admit(sequence: Sequence, budget: number): number {
    const { blockSize } = this.limits;
    const total = this.#target(sequence);
    const hits = this.pool.findPrefix(sequence.hashes, Math.floor((total - 1) / blockSize));
    const cached = hits.length * blockSize;
    const count = Math.min(total - cached, budget);
    const fresh = this.#blocksFor(cached + count) - hits.length;
    const freed = hits.filter((block) => this.pool.isFree(block)).length;
    if (fresh + freed > this.pool.freeBlocks) return 0;
    for (const block of hits) this.pool.retain(block);
    sequence.blocks = hits;
    sequence.computed = cached;
    sequence.stored = hits.length;
    this.#allocate(sequence, cached + count);
    this.#running.push(sequence);
    this.#scheduled.push({ sequence, count });
    this.#recordAdmission(sequence, cached);
    return count;
  }

  #recordAdmission(sequence: Sequence, cachedTokens: number): void {
    if (sequence.admitted) return;
    sequence.admitted = true;
    sequence.cachedTokens = cachedTokens;
    const promptTokens = sequence.request.promptTokens.length;
    this.counters.promptTokens += promptTokens;
    this.counters.prefixQueryTokens += promptTokens;
    this.counters.prefixHitTokens += cachedTokens;
    this.#admissions.push({ id: sequence.request.id, cachedTokens });
  }

  #blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.limits.blockSize);
  }

  #allocate(sequence: Sequence, tokens: number): boolean {
    const missing = this.#blocksFor(tokens) - sequence.blocks.length;
    if (missing > this.pool.freeBlocks) return false;
    for (let count = 0; count < missing; count++) sequence.blocks.push(this.pool.allocate()!);
    return true;
  }

  #storeFullBlocks(sequence: Sequence): void {
    const full = Math.min(Math.floor(sequence.computed / this.limits.blockSize), sequence.hashes.length);
    for (; sequence.stored < full; sequence.stored++)
      this.pool.store(sequence.blocks[sequence.stored]!, sequence.hashes[sequence.stored]!);
  }

  #free(sequence: Sequence): void {
    this.pool.release(sequence.blocks);
    sequence.blocks = [];
  }

  #work(): StepWork {
    const work = { prefillTokens: 0, attendedPairs: 0, decodeRequests: 0, contextTokens: 0 };
    for (const { sequence, count } of this.#scheduled) {
      if (sequence.generated > 0 && count === 1) {
        work.decodeRequests++;
        work.contextTokens += sequence.computed;
      } else {
        work.prefillTokens += count;
        work.attendedPairs += count * (sequence.computed + count / 2);
      }
    }
    return work;
  }
}

/** Duration of a step in milliseconds. */
export function stepDurationMs(work: StepWork, costs: StepCosts): number {
  const micros =
    costs.fixed +
    costs.perPrefillToken * work.prefillTokens +
    costs.perAttendedPair * work.attendedPairs +
    costs.perDecodeRequest * work.decodeRequests +
    costs.perContextToken * work.contextTokens;
  return micros / 1000;
}
