import type { Cycle, ProfileResult, ProfileResults, Random, Refusal, SchedulingRequest } from "../framework/cycle.ts";
import type { EndpointColumns } from "../framework/endpoint.ts";
import type { Span } from "../../telemetry/tracing.ts";
import { DecisionRecord } from "./record.ts";

/** Results of one decision. */
export class Results implements ProfileResults {
  readonly #done = new Map<string, ProfileResult | undefined>();

  has(profile: string): boolean {
    return this.#done.has(profile);
  }

  get(profile: string): ProfileResult | undefined {
    const result = this.#done.get(profile);
    return result?.refusal === undefined ? result : undefined;
  }

  refusal(profile: string): Refusal | undefined {
    return this.#done.get(profile)?.refusal;
  }

  names(): readonly string[] {
    return [...this.#done.keys()];
  }

  skip(profile: string): void {
    this.#done.set(profile, undefined);
  }

  add(result: ProfileResult): void {
    this.#done.set(result.profile, result);
  }

  clear(): void {
    this.#done.clear();
  }
}

const NOTHING: readonly unknown[] = [];

/** The one cycle of a pipeline: decisions are synchronous, so each reuses it. */
export class SchedulingCycle implements Cycle {
  readonly endpoints: EndpointColumns;
  readonly random: Random;
  readonly records: unknown[];
  readonly results = new Results();
  prepared: readonly unknown[] = NOTHING;
  candidates: Int32Array = new Int32Array(0);
  candidateCount = 0;
  nowMs = 0;
  peerSlot = -1;
  profile = "";
  /** Span of the decision; undefined where the request is not traced. */
  span: Span | undefined;
  /** Where the decision is written down. */
  record: DecisionRecord = new DecisionRecord();
  readonly #unkept = this.record;
  #request: SchedulingRequest | undefined;

  constructor(endpoints: EndpointColumns, random: Random, records: unknown[]) {
    this.endpoints = endpoints;
    this.random = random;
    this.records = records;
  }

  get request(): SchedulingRequest {
    if (this.#request === undefined) throw new Error("no request is being decided");
    return this.#request;
  }

  /** Starts the next decision, with what plugins have found out for it before. Without a record nothing keeps it. */
  begin(
    request: SchedulingRequest,
    candidates: Int32Array,
    count: number,
    nowMs: number,
    prepared: readonly unknown[] = NOTHING,
    record?: DecisionRecord,
  ): void {
    this.record = record ?? this.#unkept;
    this.record.collected(candidates, count);
    this.record.profileCount = 0;
    this.#request = request;
    this.prepared = prepared;
    this.candidates = candidates;
    this.candidateCount = count;
    this.nowMs = nowMs;
    this.peerSlot = -1;
    this.profile = "";
    this.results.clear();
  }
}
