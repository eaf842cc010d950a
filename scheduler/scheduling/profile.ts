import type { Refusal } from "../framework/cycle.ts";
import type { Plugin } from "../framework/plugin.ts";
import type { Span } from "../../telemetry/tracing.ts";
import type { SchedulingCycle } from "./cycle.ts";
import { countStale, dropStale, freshnessOf } from "./freshness.ts";
import type { ProfileRecord } from "./record.ts";

/** A plugin in a profile. */
export interface ProfileMember {
  readonly name: string;
  readonly type: string;
  /** What the type does, in a sentence. */
  readonly description: string;
  /** As the type's schema read them. */
  readonly parameters: unknown;
  readonly weight: number;
  readonly plugin: Plugin;
}

/** Filters, scorers and the picker of one profile. */
export interface Profile {
  readonly name: string;
  readonly filters: readonly ProfileMember[];
  readonly scorers: readonly ProfileMember[];
  readonly picker: ProfileMember | undefined;
  /** Runs over the candidates; the result is in `cycle.results`, and how it came about in `cycle.record`. */
  run(cycle: SchedulingCycle): void;
}

/** Why a profile has no target. */
export const NOBODY_LEFT: Refusal = {
  code: "ResourceExhausted",
  message: "no endpoints available for the given request",
  droppedReason: "rejected-saturated",
};

/** What a raw score counts as: 0 to 1. */
export const clampScore = (score: number): number => (score > 0 ? Math.min(score, 1) : 0);

/** Puts a profile together: filters narrow, weighted scores add up, the picker chooses. */
export function createProfile(name: string, members: readonly ProfileMember[]): Profile {
  const profile: Profile = {
    name,
    filters: members.filter(({ plugin }) => plugin.filter !== undefined),
    scorers: members.filter(({ plugin }) => plugin.score !== undefined),
    picker: members.find(({ plugin }) => plugin.pick !== undefined),
    run: (cycle) => {
      const span = cycle.span?.child("run_scheduler_profile", { "llm_d.epp.scheduling.profile.name": name });
      try {
        runProfile(profile, cycle, span);
      } finally {
        span?.end();
      }
    },
  };
  return profile;
}

function runProfile(profile: Profile, cycle: SchedulingCycle, span: Span | undefined): void {
  cycle.profile = profile.name;
  const record = cycle.record.nextProfile();
  record.begin(profile, cycle.candidates, cycle.candidateCount);
  cycle.results.add(record);
  const filtering = span?.child("filter_endpoints", { candidate_count: record.count });
  narrow(profile, cycle, record);
  filtering?.set({ filtered_count: record.count });
  filtering?.end();
  if (record.count === 0) {
    record.refusal = NOBODY_LEFT;
    return;
  }
  leaveStaleOut(cycle, record);
  const scoring = span?.child("llm_d.epp.scoring", { candidate_count: record.count });
  addScores(profile, cycle, record, scoring);
  scoring?.end();
  record.beforePick(cycle.random.state);
  const picking = span?.child("pick_endpoints");
  record.targetCount = profile.picker?.plugin.pick?.(cycle, record.slots, record.totals, record.count) ?? 1;
  if (picking !== undefined) tellTargets(picking, cycle, record);
}

function tellTargets(span: Span, { endpoints }: SchedulingCycle, { slots, totals, targetCount }: ProfileRecord): void {
  const targets = Array.from(slots.subarray(0, targetCount), (slot) => endpoints.metadata(slot).hostPort);
  span.set({ top_endpoints: targets.join(","), top_scores: totals.subarray(0, targetCount).join(",") });
  span.end();
}

function narrow({ filters }: Profile, cycle: SchedulingCycle, record: ProfileRecord): void {
  for (const { plugin } of filters) {
    if (record.count === 0) return;
    const before = record.count;
    record.count = plugin.filter?.(cycle, record.slots, before) ?? before;
    record.filtered(record.count !== before);
  }
}

function leaveStaleOut({ endpoints, record: { staleAfterMs }, nowMs }: SchedulingCycle, record: ProfileRecord): void {
  if (staleAfterMs <= 0) return;
  const since = nowMs - staleAfterMs;
  const stale = countStale(record.slots, record.count, endpoints.updatedAtMs, since);
  record.freshness = freshnessOf(record.count, stale);
  if (record.freshness === "stale-left-out")
    record.count = dropStale(record.slots, record.count, endpoints.updatedAtMs, since);
}

function addScores({ scorers }: Profile, cycle: SchedulingCycle, record: ProfileRecord, span: Span | undefined): void {
  const { slots, totals, count } = record;
  for (let index = 0; index < scorers.length; index++) {
    const { plugin, weight, type } = scorers[index]!;
    const scores = record.scoresOf(index);
    const part = span?.child(`llm_d.epp.scorer.${type}`, { "llm_d.epp.scorer.type": type, weight });
    plugin.score?.(cycle, slots, count, scores);
    if (part !== undefined) tellScores(part, scores.subarray(0, count));
    for (let i = 0; i < count; i++) totals[i] = totals[i]! + clampScore(scores[i]!) * weight;
  }
}

function tellScores(span: Span, scores: Float64Array): void {
  const sum = scores.reduce((total, score) => total + clampScore(score), 0);
  span.set({ score_max: Math.max(...scores), score_min: Math.min(...scores), score_mean: sum / scores.length });
  span.end();
}
