import type { ProfileResult, Refusal, SchedulingRequest } from "../framework/cycle.ts";
import type { EndpointColumns, EndpointMetadata } from "../framework/endpoint.ts";
import type { Freshness } from "./freshness.ts";
import type { Profile } from "./profile.ts";

/** Columns that a record keeps a copy of. */
export const KEPT_COLUMNS = ["waiting", "running", "kvUsage", "updatedAtMs"] as const;

type KeptColumn = (typeof KEPT_COLUMNS)[number];

/** What a record needs of the fleet: columns, and the facts by slot as of now. */
export interface RecordedFleet extends EndpointColumns {
  fleet(): readonly (EndpointMetadata | undefined)[];
}

/** A typed array of at least `length` items; the given one when it is long enough. Content does not survive growth. */
const floats = (array: Float64Array, length: number): Float64Array =>
  array.length >= length ? array : new Float64Array(length);
const integers = (array: Int32Array, length: number): Int32Array =>
  array.length >= length ? array : new Int32Array(length);

const NO_FLOATS = new Float64Array(0);
const NO_INTEGERS = new Int32Array(0);

/** The run of one profile. The buffers that the run works in are its record; nothing is copied to keep it. */
export class ProfileRecord implements ProfileResult {
  profile = "";
  /** The profile that ran; undefined before the first run. */
  definition: Profile | undefined;
  slots: Int32Array = NO_INTEGERS;
  totals: Float64Array = NO_FLOATS;
  count = 0;
  targetCount = 0;
  refusal: Refusal | undefined;
  /** Survivors after each filter; unchanged where the filter removed none. */
  readonly survivors: Int32Array[] = [];
  readonly survivorCounts: number[] = [];
  freshness: Freshness = "all-fresh";
  /** Survivors in the order in which they were scored, before the picker moved them. */
  order: Int32Array = NO_INTEGERS;
  /** Raw scores of each scorer, parallel to `order`. */
  readonly scores: Float64Array[] = [];
  /** State of chance before the pick; undefined when it cannot be repeated. */
  randomState: number | undefined;

  /** Begins a run over the candidates. */
  begin(definition: Profile, candidates: Int32Array, count: number): void {
    const length = candidates.length;
    this.profile = definition.name;
    this.definition = definition;
    this.slots = integers(this.slots, length);
    this.order = integers(this.order, length);
    this.totals = floats(this.totals, length);
    this.slots.set(candidates);
    this.totals.fill(0, 0, count);
    this.count = count;
    this.targetCount = 0;
    this.refusal = undefined;
    this.survivorCounts.length = 0;
    this.freshness = "all-fresh";
    this.randomState = undefined;
  }

  /** Notes the survivors of the next filter. */
  filtered(removed: boolean): void {
    const index = this.survivorCounts.push(this.count) - 1;
    if (!removed) return;
    const kept = integers(this.survivors[index] ?? NO_INTEGERS, this.slots.length);
    this.survivors[index] = kept;
    kept.set(this.slots);
  }

  /** Zeroed buffer for the raw scores of a scorer. */
  scoresOf(scorer: number): Float64Array {
    const scores = floats(this.scores[scorer] ?? NO_FLOATS, this.slots.length);
    this.scores[scorer] = scores;
    scores.fill(0, 0, this.count);
    return scores;
  }

  /** Notes the state before the pick. */
  beforePick(randomState: number | undefined): void {
    this.order.set(this.slots);
    this.randomState = randomState;
  }
}

/** One decision, with all that led to it. Overwritten when the ring comes round. */
export class DecisionRecord {
  /** Counts decisions from 1; 0: unused. */
  sequence = 0;
  requestId = "";
  incomingModel = "";
  targetModel = "";
  fairnessId = "";
  priority = 0;
  /** Monotonic ms. */
  atMs = 0;
  /** Age in ms from which metrics are stale. */
  staleAfterMs = 0;
  fleet: readonly (EndpointMetadata | undefined)[] = [];
  readonly columns: Record<KeptColumn, Float64Array> = {
    waiting: NO_FLOATS,
    running: NO_FLOATS,
    kvUsage: NO_FLOATS,
    updatedAtMs: NO_FLOATS,
  };
  /** Candidates before and after the screeners. */
  candidates: Int32Array = NO_INTEGERS;
  collectedCount = 0;
  candidateCount = 0;
  readonly profiles: ProfileRecord[] = [];
  profileCount = 0;
  /** Name of the profile whose targets were taken; "" before, and for a refusal. */
  primary = "";
  /** Addresses as the proxy got them. */
  destinations: readonly string[] = [];
  refusal: Refusal | undefined;

  /** Takes request and fleet in. */
  begin(sequence: number, request: SchedulingRequest, fleet: RecordedFleet, nowMs: number, staleAfterMs: number): void {
    this.sequence = sequence;
    this.requestId = request.id;
    this.incomingModel = request.incomingModel;
    this.targetModel = request.targetModel;
    this.fairnessId = request.fairnessId;
    this.priority = request.priority;
    this.atMs = nowMs;
    this.staleAfterMs = staleAfterMs;
    this.fleet = fleet.fleet();
    this.#keep(fleet);
    this.collectedCount = 0;
    this.candidateCount = 0;
    this.profileCount = 0;
    this.primary = "";
    this.destinations = [];
    this.refusal = undefined;
  }

  #keep(fleet: RecordedFleet): void {
    const { columns } = this;
    for (const name of KEPT_COLUMNS) {
      const column = floats(columns[name], fleet.capacity);
      columns[name] = column;
      column.set(fleet[name]);
    }
  }

  /** Notes the candidates before the screeners. */
  collected(candidates: Int32Array, count: number): void {
    this.candidates = integers(this.candidates, candidates.length);
    this.candidates.set(candidates);
    this.collectedCount = count;
    this.candidateCount = count;
  }

  /** Notes the candidates that the screeners left. */
  screened(candidates: Int32Array, count: number): void {
    if (count === this.candidateCount) return;
    // Removed ones keep a place behind the others, so that the record still names them.
    const left = new Set(candidates.subarray(0, count));
    const removed = this.candidates.subarray(0, this.collectedCount).filter((slot) => !left.has(slot));
    this.candidates.set(candidates.subarray(0, count));
    this.candidates.set(removed, count);
    this.candidateCount = count;
  }

  /** Buffers for the next profile's run. */
  nextProfile(): ProfileRecord {
    const next = this.profiles[this.profileCount] ?? new ProfileRecord();
    this.profiles[this.profileCount++] = next;
    return next;
  }
}

const BYTE_BUDGET = 16 * 1024 * 1024;
const MIN_RECORDS = 32;
const MAX_RECORDS = 2048;
/** Bytes of one endpoint in a record of one profile with a few scorers. */
const BYTES_PER_SLOT = 96;

/** How many decisions are kept for a fleet of this size: as many as fit into 16 MiB, from 32 to 2,048. */
export function ringSize(capacity: number): number {
  const fitting = Math.floor(BYTE_BUDGET / (BYTES_PER_SLOT * Math.max(1, capacity)));
  return Math.min(MAX_RECORDS, Math.max(MIN_RECORDS, fitting));
}

/** The last decisions. */
export class DecisionRing {
  readonly #records: DecisionRecord[] = [];
  #at = -1;
  #sequence = 0;

  /** How many decisions there have been. */
  get count(): number {
    return this.#sequence;
  }

  /** The record for the next decision. */
  next(request: SchedulingRequest, fleet: RecordedFleet, nowMs: number, staleAfterMs: number): DecisionRecord {
    const size = ringSize(fleet.capacity);
    if (this.#records.length > size) this.#records.length = size;
    this.#at = (this.#at + 1) % size;
    const record = this.#records[this.#at] ?? this.#grow();
    record.begin(++this.#sequence, request, fleet, nowMs, staleAfterMs);
    return record;
  }

  #grow(): DecisionRecord {
    const record = new DecisionRecord();
    this.#at = this.#records.push(record) - 1;
    return record;
  }

  /** The newest decision about a request. */
  find(requestId: string): DecisionRecord | undefined {
    return this.newest().find((record) => record.requestId === requestId);
  }

  /** Records from the newest to the oldest. */
  newest(): readonly DecisionRecord[] {
    return [...this.#records].sort((a, b) => b.sequence - a.sequence);
  }
}
