import { BlockPool, type BlockListener } from "./block-pool.ts";
import type { Admission, Emission, EngineRequest, Transfer } from "./requests.ts";
import type { StepWork } from "./step-costs.ts";
import { hashBlocks } from "./tokens.ts";

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

/** Totals since the engine started. */
export interface EngineCounters {
  prefixQueryTokens: number;
  prefixHitTokens: number;
  /** Prompt tokens asked of other engines, and got. */
  externalQueryTokens: number;
  externalHitTokens: number;
  preemptions: number;
  promptTokens: number;
  generationTokens: number;
}

interface Sequence {
  readonly request: EngineRequest;
  readonly tokens: readonly number[];
  readonly hashes: readonly number[];
  /** Where the prompt's KV blocks come from; a preempted request computes them. */
  prompt: "computed" | "awaited" | "loaded";
  computed: number;
  generated: number;
  stored: number;
  admitted: boolean;
  /** Prompt tokens found in this engine's cache. */
  hitTokens: number;
  blocks: number[];
}

interface Scheduled {
  readonly sequence: Sequence;
  readonly count: number;
}

/**
 * The scheduler of vLLM V1 with continuous batching, chunked prefill, prefix caching and preemption by recompute, as a
 * synchronous state machine without a clock: `beginStep` chooses the work of a step, `endStep` applies it. Transfers of KV
 * blocks are told by `transfers` and applied by `endTransfer`; a request waits for its own outside of the batch.
 */
export class Engine {
  readonly limits: EngineLimits;
  readonly pool: BlockPool;
  readonly counters: EngineCounters = {
    prefixQueryTokens: 0,
    prefixHitTokens: 0,
    externalQueryTokens: 0,
    externalHitTokens: 0,
    preemptions: 0,
    promptTokens: 0,
    generationTokens: 0,
  };
  readonly #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  #scheduled: Scheduled[] = [];
  #admissions: Admission[] = [];
  #transfers: Transfer[] = [];
  #refusals: string[] = [];
  /** Requests that wait for their transfer, and blocks of finished requests that another engine fetches, by request. */
  readonly #loading = new Map<string, Sequence>();
  readonly #held = new Map<string, readonly number[]>();

  constructor(limits: EngineLimits, listener?: BlockListener) {
    this.limits = limits;
    this.pool = new BlockPool(limits.numGpuBlocks, listener);
  }

  get runningCount(): number {
    return this.#running.length;
  }

  get waitingCount(): number {
    return this.#waiting.length + this.#loading.size;
  }

  get idle(): boolean {
    return this.#running.length === 0 && this.waitingCount === 0;
  }

  /** Adapters of running requests, and of waiting ones, each without duplicates. */
  get adapters(): { readonly running: string[]; readonly waiting: string[] } {
    const names = (sequences: readonly Sequence[]) => [
      ...new Set(sequences.map((sequence) => sequence.request.adapter).filter((name) => name !== "")),
    ];
    return { running: names(this.#running), waiting: names([...this.#waiting, ...this.#loading.values()]) };
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
      prompt: request.remotePrefill === true ? "awaited" : "computed",
      computed: 0,
      generated: 0,
      stored: 0,
      admitted: false,
      hitTokens: 0,
      blocks: [],
    });
  }

  /** Drops a request wherever it is; unknown ids are ignored. */
  abort(id: string): void {
    const same = (sequence: Sequence) => sequence.request.id === id;
    const sequence = this.#waiting.find(same) ?? this.#running.find(same) ?? this.#loading.get(id);
    if (sequence === undefined) return;
    const waiting = this.#waiting.indexOf(sequence);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    this.#loading.delete(id);
    this.#running = this.#running.filter((other) => other !== sequence);
    this.#scheduled = this.#scheduled.filter((other) => other.sequence !== sequence);
    this.#free(sequence);
  }

  /** The KV blocks of a prompt have come from the other engine; unknown ids (aborted requests) are ignored. */
  endTransfer(id: string): void {
    const sequence = this.#loading.get(id);
    if (sequence === undefined) return;
    this.#loading.delete(id);
    sequence.prompt = "loaded";
    sequence.computed = sequence.request.promptTokens.length;
    this.#storeFullBlocks(sequence);
    // The first token is this engine's own.
    sequence.computed--;
    this.#waiting.unshift(sequence);
  }

  /** Blocks that a finished request holds for another engine; none where it holds none. */
  heldBlocks(id: string): readonly number[] {
    return this.#held.get(id) ?? [];
  }

  /** Gives back what a finished request holds. False where it holds nothing. */
  releaseHeld(id: string): boolean {
    this.pool.release(this.heldBlocks(id));
    return this.#held.delete(id);
  }

  /** Chooses the tokens of the next step. Undefined when there is nothing to compute. */
  beginStep(): StepWork | undefined {
    this.#scheduled = [];
    this.#admissions = [];
    this.#transfers = [];
    this.#refusals = [];
    let budget = this.limits.maxNumBatchedTokens;
    const preemptedBefore = this.counters.preemptions;
    budget = this.#scheduleRunning(budget);
    if (this.counters.preemptions === preemptedBefore || this.#scheduled.length === 0) this.#admitWaiting(budget);
    return this.#scheduled.length === 0 ? undefined : this.#work();
  }

  /** Requests that entered the batch in the step begun last. */
  get admissions(): readonly Admission[] {
    return this.#admissions;
  }

  /** Transfers that started in the step begun last. */
  get transfers(): readonly Transfer[] {
    return this.#transfers;
  }

  /** Requests that the step begun last refused, because too little of their prompt is cached. */
  get refusals(): readonly string[] {
    return this.#refusals;
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
    for (const sequence of this.#running) if (done.has(sequence.request.id)) this.#finish(sequence);
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
    victim.prompt = "computed";
    victim.computed = 0;
    victim.stored = 0;
    // Those whose prompt was transferred hold blocks: before them it could wait for ever.
    this.#waiting.splice(this.#waiting.findLastIndex(({ prompt }) => prompt === "loaded") + 1, 0, victim);
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
      const count = this.#start(head, budget);
      if (count === undefined) break;
      if (adapter !== "" && count > 0) adapters.add(adapter);
      this.#waiting.shift();
      budget -= count;
    }
    this.#waiting.unshift(...aside);
  }

  /**
   * Takes the head of the waiting queue into the batch, or into a transfer, or refuses it. Returns its tokens in this step,
   * undefined when blocks are short.
   */
  #start(sequence: Sequence, budget: number): number | undefined {
    if (sequence.prompt === "loaded") return this.#admit(sequence, budget);
    const hits = this.pool.findPrefix(
      sequence.hashes,
      Math.floor((this.#target(sequence) - 1) / this.limits.blockSize),
    );
    const cached = hits.length * this.limits.blockSize;
    const { id, promptTokens, cacheHitThreshold = 0 } = sequence.request;
    if (sequence.prompt === "awaited") return this.#beginTransfer(sequence, hits) ? 0 : undefined;
    if (!sequence.admitted && cached < cacheHitThreshold * promptTokens.length) {
      this.#refusals.push(id);
      return 0;
    }
    const count = Math.min(this.#target(sequence) - cached, budget);
    return this.#take(sequence, hits, cached + count) ? this.#admit(sequence, budget) : undefined;
  }

  #admit(sequence: Sequence, budget: number): number {
    const count = Math.min(this.#target(sequence) - sequence.computed, budget);
    this.#running.push(sequence);
    this.#scheduled.push({ sequence, count });
    this.#recordAdmission(sequence);
    return count;
  }

  #beginTransfer(sequence: Sequence, hits: number[]): boolean {
    const { id, promptTokens } = sequence.request;
    if (!this.#take(sequence, hits, promptTokens.length)) return false;
    this.#loading.set(id, sequence);
    const missingTokens = promptTokens.length - sequence.computed;
    this.#transfers.push({ id, promptTokens: promptTokens.length, missingTokens });
    return true;
  }

  /** Gives a request the cached blocks `hits` and free ones up to `tokens`. False when too few are free. */
  #take(sequence: Sequence, hits: number[], tokens: number): boolean {
    const fresh = this.#blocksFor(tokens) - hits.length;
    const freed = hits.filter((block) => this.pool.isFree(block)).length;
    if (fresh + freed > this.pool.freeBlocks) return false;
    for (const block of hits) this.pool.retain(block);
    sequence.blocks = hits;
    sequence.computed = hits.length * this.limits.blockSize;
    sequence.hitTokens = sequence.computed;
    sequence.stored = hits.length;
    return this.#allocate(sequence, tokens);
  }

  #recordAdmission(sequence: Sequence): void {
    if (sequence.admitted) return;
    sequence.admitted = true;
    const { counters } = this;
    const promptTokens = sequence.request.promptTokens.length;
    counters.promptTokens += promptTokens;
    counters.prefixQueryTokens += promptTokens;
    counters.prefixHitTokens += sequence.hitTokens;
    if (sequence.prompt === "loaded") {
      counters.externalQueryTokens += promptTokens - sequence.hitTokens;
      counters.externalHitTokens += sequence.computed - sequence.hitTokens;
    }
    this.#admissions.push({ id: sequence.request.id, cachedTokens: sequence.computed });
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

  #finish(sequence: Sequence): void {
    if (sequence.request.remoteDecode !== true) return this.#free(sequence);
    this.#held.set(sequence.request.id, sequence.blocks);
    sequence.blocks = [];
  }

  #free(sequence: Sequence): void {
    this.pool.release(sequence.blocks);
    sequence.blocks = [];
  }

  #work(): StepWork {
    const work = { prefillTokens: 0, attendedPairs: 0, decodeRequests: 0, resumedRequests: 0, contextTokens: 0 };
    for (const { sequence, count } of this.#scheduled) {
      const isFirst = sequence.generated === 0;
      const isResumed = isFirst && sequence.prompt === "loaded";
      if (count === 1 && (!isFirst || isResumed)) {
        work.decodeRequests++;
        work.contextTokens += sequence.computed;
        if (isResumed) work.resumedRequests++;
      } else {
        work.prefillTokens += count;
        work.attendedPairs += count * (sequence.computed + count / 2);
      }
    }
    return work;
  }
}
