import type { Refusal } from "../framework/cycle.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import { FRESHNESS } from "./freshness.ts";
import { doublesOfInts, NumberLog } from "./number-log.ts";
import { NOBODY_LEFT, type Profile } from "./profile.ts";
import { DecisionRecord, LOAD_COLUMNS, type ProfileRecord } from "./record.ts";

/** Bytes that the numbers of all decisions take. */
const LOG_BYTES = 8 * 1024 * 1024;
/** Decisions that are kept where the bytes would allow more. */
const MAX_DECISIONS = 4096;

/** Positions of a decision's texts and objects; all are in one array, so that decisions of a time lie side by side. */
const REF = {
  requestId: 0,
  incomingModel: 1,
  targetModel: 2,
  fairnessId: 3,
  fleet: 4,
  runs: 5,
  destinations: 6,
  refusal: 7,
} as const;
const REFS = 8;
/** Positions of a decision's numbers. */
const FACT = {
  sequence: 0,
  place: 1,
  atMs: 2,
  priority: 3,
  collected: 4,
  candidates: 5,
  primary: 6,
  staleAfterMs: 7,
} as const;
const FACTS = 8;
/** Numbers that precede those of each profile's run. */
const RUN_FACTS = 6;

/** A decision of the past, with its number from 1. */
export interface PastDecision {
  readonly sequence: number;
  readonly record: DecisionRecord;
}

/**
 * The last decisions: their numbers in one block of 8 MiB, and at most 4,096 of them. Keeping one copies a few stretches of
 * memory and makes no object; reading one makes a record of it.
 */
export class DecisionRing {
  readonly #log = new NumberLog(LOG_BYTES);
  readonly #facts = new Float64Array(MAX_DECISIONS * FACTS);
  readonly #refs: unknown[] = Array.from({ length: MAX_DECISIONS * REFS });
  #sequence = 0;

  /** How many decisions there have been. */
  get count(): number {
    return this.#sequence;
  }

  /** Keeps a finished decision. */
  push(record: DecisionRecord): void {
    const place = this.#log.reserve(doublesOf(record));
    const index = ++this.#sequence % MAX_DECISIONS;
    this.#putFacts(index * FACTS, record, place);
    this.#putRefs(index * REFS, record);
    if (place !== -1) writeNumbers(this.#log, place, record);
  }

  #putFacts(at: number, record: DecisionRecord, place: number): void {
    const facts = this.#facts;
    facts[at + FACT.sequence] = this.#sequence;
    facts[at + FACT.place] = place;
    facts[at + FACT.atMs] = record.atMs;
    facts[at + FACT.priority] = record.priority;
    facts[at + FACT.collected] = record.collectedCount;
    facts[at + FACT.candidates] = record.candidateCount;
    facts[at + FACT.primary] = record.primary;
    facts[at + FACT.staleAfterMs] = record.staleAfterMs;
  }

  #putRefs(at: number, record: DecisionRecord): void {
    const refs = this.#refs;
    refs[at + REF.requestId] = record.requestId;
    refs[at + REF.incomingModel] = record.incomingModel;
    refs[at + REF.targetModel] = record.targetModel;
    refs[at + REF.fairnessId] = record.fairnessId;
    refs[at + REF.fleet] = record.fleet;
    refs[at + REF.runs] = runsOf(record);
    refs[at + REF.destinations] = record.destinations;
    refs[at + REF.refusal] = record.refusal;
  }

  /** The newest decision about a request. */
  find(requestId: string): PastDecision | undefined {
    return this.#search(1, (index) => this.#refs[index * REFS + REF.requestId] === requestId)[0];
  }

  /** The newest decisions, newest first. */
  newest(limit: number): readonly PastDecision[] {
    return this.#search(limit, () => true);
  }

  #search(limit: number, matches: (index: number) => boolean): readonly PastDecision[] {
    const found: PastDecision[] = [];
    const last = Math.max(0, this.#sequence - MAX_DECISIONS);
    for (let sequence = this.#sequence; sequence > last && found.length < limit; sequence--) {
      const index = sequence % MAX_DECISIONS;
      const place = this.#facts[index * FACTS + FACT.place] ?? -1;
      if (place !== -1 && !this.#log.holds(place)) break;
      if (place !== -1 && matches(index)) found.push({ sequence, record: this.#read(index) });
    }
    return found;
  }

  #read(index: number): DecisionRecord {
    const record = new DecisionRecord();
    const facts = this.#facts.subarray(index * FACTS, (index + 1) * FACTS);
    // Written by `#putRefs` in this order.
    const refs = this.#refs.slice(index * REFS, (index + 1) * REFS) as [
      requestId: string,
      incomingModel: string,
      targetModel: string,
      fairnessId: string,
      fleet: readonly (EndpointMetadata | undefined)[],
      runs: Profile | readonly Profile[] | undefined,
      destinations: readonly string[] | undefined,
      refusal: Refusal | undefined,
    ];
    [record.requestId, record.incomingModel, record.targetModel, record.fairnessId, record.fleet] = refs;
    const runs = refs[REF.runs];
    record.destinations = refs[REF.destinations];
    record.refusal = refs[REF.refusal];
    record.atMs = facts[FACT.atMs] ?? 0;
    record.priority = facts[FACT.priority] ?? 0;
    record.collectedCount = facts[FACT.collected] ?? 0;
    record.candidateCount = facts[FACT.candidates] ?? 0;
    record.primary = facts[FACT.primary] ?? -1;
    record.staleAfterMs = facts[FACT.staleAfterMs] ?? 0;
    readNumbers(this.#log, facts[FACT.place] ?? 0, runs === undefined ? [] : [runs].flat(), record);
    return record;
  }
}

/** Profiles in the order of their runs: mostly a single one, which needs no list. */
function runsOf({ profiles, profileCount }: DecisionRecord): Profile | readonly (Profile | undefined)[] | undefined {
  if (profileCount < 2) return profileCount === 0 ? undefined : profiles[0]?.definition;
  return profiles.slice(0, profileCount).map(({ definition }) => definition);
}

function doublesOf({ load, width, profiles, profileCount }: DecisionRecord): number {
  const half = doublesOfInts(width);
  let doubles = 1 + load.length + half;
  for (let i = 0; i < profileCount; i++) {
    const { survivorCounts, scoreBlock, targetCount } = profiles[i]!;
    doubles += RUN_FACTS + targetCount + survivorCounts.length * (1 + half) + half + scoreBlock.length;
  }
  return doubles;
}

function writeNumbers(log: NumberLog, place: number, record: DecisionRecord): void {
  const { width, load, candidates, profiles, profileCount } = record;
  log.put(place, width);
  log.putFloats(place + 1, load);
  let at = place + 1 + load.length;
  if (candidates.length === width) log.putInts(at, candidates);
  at += doublesOfInts(width);
  for (let i = 0; i < profileCount; i++) at = writeRun(log, at, profiles[i]!, width);
}

function writeRun(log: NumberLog, place: number, run: ProfileRecord, width: number): number {
  const { survivors, survivorCounts, targetCount, slots } = run;
  const half = doublesOfInts(width);
  log.put(place, run.count);
  log.put(place + 1, targetCount);
  log.put(place + 2, survivorCounts.length);
  log.put(place + 3, FRESHNESS.indexOf(run.freshness));
  log.put(place + 4, run.randomState ?? -1);
  log.put(place + 5, run.refusal === undefined ? 0 : 1);
  let at = place + RUN_FACTS;
  for (let i = 0; i < targetCount; i++) log.put(at++, slots[i]!);
  for (let i = 0; i < survivorCounts.length; i++, at += half) {
    log.put(at++, survivorCounts[i]!);
    log.putInts(at, survivors[i]!);
  }
  log.putInts(at, run.order);
  log.putFloats(at + half, run.scoreBlock);
  return at + half + run.scoreBlock.length;
}

function readNumbers(log: NumberLog, place: number, runs: readonly Profile[], record: DecisionRecord): void {
  const width = log.get(place);
  record.load = log.floats(place + 1, width * LOAD_COLUMNS);
  let at = place + 1 + record.load.length;
  record.candidates = log.ints(at, width);
  at += doublesOfInts(width);
  for (const definition of runs) at = readRun(log, at, definition, width, record.nextProfile());
}

function readRun(log: NumberLog, place: number, definition: Profile, width: number, run: ProfileRecord): number {
  const half = doublesOfInts(width);
  const filters = log.get(place + 2);
  const state = log.get(place + 4);
  run.definition = definition;
  run.profile = definition.name;
  run.count = log.get(place);
  run.targetCount = log.get(place + 1);
  run.freshness = FRESHNESS[log.get(place + 3)] ?? "all-fresh";
  run.randomState = state === -1 ? undefined : state;
  run.refusal = log.get(place + 5) === 0 ? undefined : NOBODY_LEFT;
  let at = place + RUN_FACTS;
  run.slots = Int32Array.from({ length: run.targetCount }, () => log.get(at++));
  for (let i = 0; i < filters; i++, at += half) {
    run.survivorCounts.push(log.get(at++));
    run.survivors.push(log.ints(at, width));
  }
  run.order = log.ints(at, width);
  at += half;
  run.scores = definition.scorers.map((_, scorer) => log.floats(at + scorer * width, width));
  return at + definition.scorers.length * width;
}
