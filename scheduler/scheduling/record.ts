import type { ProfileResult, Refusal, SchedulingRequest } from "../framework/cycle.ts";
import type { EndpointColumns, EndpointMetadata } from "../framework/endpoint.ts";
import type { Freshness } from "./freshness.ts";
import type { Profile } from "./profile.ts";

/** What a record needs of the fleet: columns, and the facts by slot as of now. */
export interface RecordedFleet extends EndpointColumns {
  /** `waiting`, `running`, `kvUsage` and `updatedAtMs` one after the other. */
  readonly load: Float64Array;
  fleet(): readonly (EndpointMetadata | undefined)[];
}

/** A typed array of at least `length` items; the given one when it is long enough. Content does not survive growth. */
const floats = (array: Float64Array, length: number): Float64Array =>
  array.length >= length ? array : new Float64Array(length);
const integers = (array: Int32Array, length: number): Int32Array =>
  array.length >= length ? array : new Int32Array(length);

/** Columns of `load`. */
export const LOAD_COLUMNS = 4;

const NO_FLOATS = new Float64Array(0);
const NO_INTEGERS = new Int32Array(0);

/** The run of one profile: the buffers that it works in. */
export class ProfileRecord implements ProfileResult {
  profile = "";
  /** The profile that ran; undefined before the first run. */
  definition: Profile | undefined;
  slots: Int32Array = NO_INTEGERS;
  totals: Float64Array = NO_FLOATS;
  count = 0;
  targetCount = 0;
  refusal: Refusal | undefined;
  /** Survivors after each filter; meaningless where the filter removed none. */
  readonly survivors: Int32Array[] = [];
  readonly survivorCounts: number[] = [];
  freshness: Freshness = "all-fresh";
  /** Survivors in the order in which they were scored, before the picker moved them. */
  order: Int32Array = NO_INTEGERS;
  /** Raw scores of each scorer, parallel to `order`: parts of `scoreBlock`, one after the other. */
  scores: readonly Float64Array[] = [];
  scoreBlock: Float64Array = NO_FLOATS;
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
    this.#allocateScores(definition.scorers.length, this.slots.length);
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
    const kept = integers(this.survivors[index] ?? NO_INTEGERS, this.slots.length);
    this.survivors[index] = kept;
    if (removed) kept.set(this.slots);
  }

  #allocateScores(scorers: number, width: number): void {
    if (this.scores.length === scorers && this.scoreBlock.length === scorers * width) return;
    const block = new Float64Array(scorers * width);
    this.scoreBlock = block;
    this.scores = Array.from({ length: scorers }, (_, index) => block.subarray(index * width, (index + 1) * width));
  }

  /** Zeroed buffer for the raw scores of a scorer. */
  scoresOf(scorer: number): Float64Array {
    return this.scores[scorer]!.fill(0, 0, this.count);
  }

  /** Notes the state before the pick. */
  beforePick(randomState: number | undefined): void {
    this.order.set(this.slots);
    this.randomState = randomState;
  }
}

/** One decision, with all that leads to it. Its buffers are used again by the next. */
export class DecisionRecord {
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
  /** Live `waiting`, `running`, `kvUsage` and `updatedAtMs`, one after the other; later changes show. */
  load: Float64Array = NO_FLOATS;
  /** Candidates before and after the screeners. */
  candidates: Int32Array = NO_INTEGERS;
  collectedCount = 0;
  candidateCount = 0;
  readonly profiles: ProfileRecord[] = [];
  profileCount = 0;
  /** Which of `profiles` has the targets that were taken; -1: none. */
  primary = -1;
  /** Addresses as the proxy got them, where a plugin replaced those of the targets. */
  destinations: readonly string[] | undefined;
  refusal: Refusal | undefined;

  /** Takes request and fleet in. */
  begin(request: Omit<SchedulingRequest, "body">, fleet: RecordedFleet, nowMs: number, staleAfterMs: number): void {
    this.requestId = request.id;
    this.incomingModel = request.incomingModel;
    this.targetModel = request.targetModel;
    this.fairnessId = request.fairnessId;
    this.priority = request.priority;
    this.atMs = nowMs;
    this.staleAfterMs = staleAfterMs;
    this.fleet = fleet.fleet();
    this.load = fleet.load;
    this.collectedCount = 0;
    this.candidateCount = 0;
    this.profileCount = 0;
    this.primary = -1;
    this.destinations = undefined;
    this.refusal = undefined;
  }

  /** Notes the candidates before the screeners. */
  collected(candidates: Int32Array, count: number): void {
    this.candidates = integers(this.candidates, candidates.length);
    this.candidates.set(candidates);
    this.collectedCount = count;
    this.candidateCount = count;
    this.profileCount = 0;
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

  /** Endpoints that each column has room for. */
  get width(): number {
    return this.load.length / LOAD_COLUMNS;
  }

  /** Buffers for the next profile's run. */
  nextProfile(): ProfileRecord {
    const next = this.profiles[this.profileCount] ?? new ProfileRecord();
    this.profiles[this.profileCount++] = next;
    return next;
  }
}
