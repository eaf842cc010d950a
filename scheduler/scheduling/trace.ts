import type { Refusal } from "../framework/cycle.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import type { Freshness } from "./freshness.ts";
import { clampScore, type ProfileMember } from "./profile.ts";
import type { DecisionRecord, ProfileRecord } from "./record.ts";

/** What a scorer said about an endpoint. */
export interface ScoreTrace {
  readonly scorer: string;
  /** As the plugin returned it; clamped where it is not finite. */
  readonly raw: number;
  /** Clamped to 0–1, times the weight. */
  readonly weighted: number;
}

/** What became of an endpoint in a profile. */
export interface CandidateTrace {
  /** `<pod>-rank-<i>`. */
  readonly endpoint: string;
  readonly namespace: string;
  readonly address: string;
  /** `picked`, `scored`, or why it did not compete. */
  readonly verdict: string;
  /** Metrics as the scorers saw them. */
  readonly inputs: InputTrace;
  /** In the order of the profile's scorers; absent where it did not compete. */
  readonly scores?: readonly ScoreTrace[];
  readonly total?: number;
}

/** Scraped values with their age in ms; null: never read. */
export interface InputTrace {
  readonly waiting: number;
  readonly running: number;
  readonly kvUsage: number;
  readonly ageMs: number | null;
}

/** A plugin of a profile. */
export interface MemberTrace {
  readonly plugin: string;
  readonly type: string;
}

/** The run of one profile. */
export interface ProfileTrace {
  readonly profile: string;
  readonly filters: readonly (MemberTrace & { readonly description: string; readonly left: number })[];
  /** Which rule about stale metrics held. */
  readonly freshness: Freshness;
  readonly scorers: readonly (MemberTrace & { readonly weight: number })[];
  readonly picker: (MemberTrace & { readonly parameters: unknown }) | undefined;
  /** State of chance before the pick; absent when it cannot be repeated. */
  readonly randomState: number | undefined;
  /** Endpoints that share the highest total; above 1 chance decided. */
  readonly ties: number;
  /** Endpoints that competed, in the order in which they were scored; then those that did not. */
  readonly candidates: readonly CandidateTrace[];
  /** Endpoints picked, preferred first. */
  readonly targets: readonly string[];
  readonly refusal: Refusal | undefined;
}

/** How a decision came about: enough to repeat its picks (`recomputePick`). */
export interface DecisionTrace {
  readonly sequence: number;
  readonly requestId: string;
  /** RFC 3339. */
  readonly time: string;
  readonly model: string;
  readonly targetModel: string;
  readonly priority: number;
  readonly fairnessId: string;
  /** Endpoints before the screeners, and the names of those that they removed. */
  readonly candidates: number;
  readonly screenedOut: readonly string[];
  readonly profiles: readonly ProfileTrace[];
  readonly primary: string | undefined;
  readonly destinations: readonly string[];
  readonly refusal: Refusal | undefined;
}

const UNKNOWN: EndpointMetadata = {
  namespace: "",
  podName: "",
  name: "?",
  address: "",
  port: 0,
  hostPort: "",
  labels: {},
  rank: 0,
  metricsHost: "",
  nodeAddress: "",
};

/** Reads a record. `originMs` is the wall-clock time of monotonic 0. */
export function traceOf(record: DecisionRecord, sequence: number, originMs: number): DecisionTrace {
  const { candidates, collectedCount, candidateCount } = record;
  const screened = Array.from(candidates.subarray(candidateCount, collectedCount));
  return {
    sequence,
    requestId: record.requestId,
    time: new Date(originMs + record.atMs).toISOString(),
    model: record.incomingModel,
    targetModel: record.targetModel,
    priority: record.priority,
    fairnessId: record.fairnessId,
    candidates: collectedCount,
    screenedOut: screened.map((slot) => endpointIn(record, slot).name),
    profiles: record.profiles.slice(0, record.profileCount).map((profile) => profileTrace(record, profile)),
    primary: record.profiles[record.primary]?.profile,
    destinations: destinationsOf(record),
    refusal: record.refusal,
  };
}

/** Addresses as the proxy got them; none for a refusal. */
export function destinationsOf(record: DecisionRecord): readonly string[] {
  const { destinations, profiles, primary, refusal } = record;
  if (destinations !== undefined || refusal !== undefined) return destinations ?? [];
  const { slots, targetCount } = profiles[primary] ?? { slots: new Int32Array(0), targetCount: 0 };
  return Array.from(slots.subarray(0, targetCount), (slot) => endpointIn(record, slot).hostPort);
}

function endpointIn({ fleet }: DecisionRecord, slot: number): EndpointMetadata {
  return fleet[slot] ?? UNKNOWN;
}

const memberTrace = ({ name, type }: ProfileMember): MemberTrace => ({ plugin: name, type });

function profileTrace(record: DecisionRecord, profile: ProfileRecord): ProfileTrace {
  const { definition, survivorCounts } = profile;
  const { filters = [], scorers = [], picker } = definition ?? {};
  const targets = Array.from(profile.slots.subarray(0, profile.targetCount));
  const competed = profile.refusal === undefined ? Array.from(profile.order.subarray(0, profile.count)) : [];
  const scored = competed.map((slot, at) => scoredTrace(record, profile, slot, at, targets.includes(slot)));
  const best = Math.max(...scored.map(({ total = 0 }) => total));
  return {
    profile: profile.profile,
    filters: filters.slice(0, survivorCounts.length).map((member, index) => ({
      ...memberTrace(member),
      description: member.description,
      left: survivorCounts[index] ?? 0,
    })),
    freshness: profile.freshness,
    scorers: scorers.map((member) => ({ ...memberTrace(member), weight: member.weight })),
    picker: picker && { ...memberTrace(picker), parameters: picker.parameters },
    randomState: profile.randomState,
    ties: scored.filter(({ total }) => total === best).length,
    candidates: [...scored, ...removedTraces(record, profile, new Set(competed))],
    targets: targets.map((slot) => endpointIn(record, slot).name),
    refusal: profile.refusal,
  };
}

function scoredTrace(
  record: DecisionRecord,
  { definition, scores }: ProfileRecord,
  slot: number,
  at: number,
  picked: boolean,
): CandidateTrace {
  let total = 0;
  const entries = (definition?.scorers ?? []).map(({ name: scorer, weight }, index) => {
    const found = scores[index]?.[at] ?? 0;
    const weighted = clampScore(found) * weight;
    total += weighted;
    return { scorer, raw: Number.isFinite(found) ? found : clampScore(found), weighted };
  });
  const verdict = picked ? "picked" : "scored";
  return { ...candidateTrace(record, slot, verdict), scores: entries, total };
}

/** Candidates that did not compete, in the order of the filters that removed them. */
function removedTraces(
  record: DecisionRecord,
  { definition, survivors, survivorCounts }: ProfileRecord,
  competed: ReadonlySet<number>,
): readonly CandidateTrace[] {
  let left: readonly number[] = Array.from(record.candidates.subarray(0, record.candidateCount));
  const removed: CandidateTrace[] = [];
  survivorCounts.forEach((count, index) => {
    if (count === left.length) return;
    const kept = new Set(survivors[index]?.subarray(0, count));
    const name = definition?.filters[index]?.name ?? "";
    for (const slot of left)
      if (!kept.has(slot)) removed.push(candidateTrace(record, slot, `removed by filter ${name}`));
    left = left.filter((slot) => kept.has(slot));
  });
  const stale = left.filter((slot) => !competed.has(slot));
  return [...removed, ...stale.map((slot) => candidateTrace(record, slot, "left out: metrics are stale"))];
}

function candidateTrace(record: DecisionRecord, slot: number, verdict: string): CandidateTrace {
  const { name, namespace, hostPort } = endpointIn(record, slot);
  const { load, width } = record;
  const [waiting = 0, running = 0, kvUsage = 0, at = 0] = [0, 1, 2, 3].map((column) => load[column * width + slot]);
  const inputs = {
    waiting,
    running,
    kvUsage,
    ageMs: at === 0 ? null : record.atMs - at,
  };
  return { endpoint: name, namespace, address: hostPort, verdict, inputs };
}
