import { grown } from "../framework/data.ts";
import type { ProfileResult } from "../framework/cycle.ts";
import type { Plugin } from "../framework/plugin.ts";
import type { SchedulingCycle } from "./cycle.ts";
import type { DecisionTrace, ScorerTrace } from "./trace.ts";

/** A plugin in a profile. */
export interface ProfileMember {
  readonly name: string;
  readonly weight: number;
  readonly plugin: Plugin;
}

/** Filters, scorers and the picker of one profile. */
export interface Profile {
  readonly name: string;
  /** Runs over the candidates; the result is in `cycle.results`. With a trace it tells there how it came about. */
  run(cycle: SchedulingCycle, trace: DecisionTrace | undefined): void;
}

const clamp = (score: number): number => (score > 0 ? Math.min(score, 1) : 0);

/** Puts a profile together: filters narrow, weighted scores add up, the picker chooses. */
export function createProfile(name: string, members: readonly ProfileMember[]): Profile {
  const filters = members.filter(({ plugin }) => plugin.filter !== undefined);
  const scorers = members.filter(({ plugin }) => plugin.score !== undefined);
  const picker = members.find(({ plugin }) => plugin.pick !== undefined);
  let scores: Float64Array = new Float64Array(0);

  const addScores = (cycle: SchedulingCycle, result: ProfileResult, traces: ScorerTrace[] | undefined): void => {
    const { slots, totals, count } = result;
    for (const { name: scorer, weight, plugin } of scorers) {
      scores.fill(0, 0, count);
      plugin.score?.(cycle, slots, count, scores);
      for (let i = 0; i < count; i++) totals[i] = (totals[i] ?? 0) + clamp(scores[i] ?? 0) * weight;
      traces?.push({ scorer, weight, scores: bySlot(slots, scores, count) });
    }
  };

  return {
    name,
    run: (cycle, trace) => {
      cycle.profile = name;
      const result = cycle.results.begin(name, cycle.candidates, cycle.candidateCount);
      scores = grown(scores, result.count);
      for (const { plugin } of filters) {
        if (result.count > 0) result.count = plugin.filter?.(cycle, result.slots, result.count) ?? result.count;
      }
      if (result.count === 0) {
        const message = "no endpoints available for the given request";
        result.refusal = { code: "ResourceExhausted", message, droppedReason: "rejected-saturated" };
        return;
      }
      const traces: ScorerTrace[] | undefined = trace === undefined ? undefined : [];
      addScores(cycle, result, traces);
      const ties = traces === undefined ? 0 : countTies(result);
      result.targetCount = picker?.plugin.pick?.(cycle, result.slots, result.totals, result.count) ?? 1;
      trace?.push({ profile: name, candidates: result.count, scorers: traces ?? [], picker: picker?.name ?? "", ties });
    },
  };
}

function bySlot(slots: Int32Array, scores: Float64Array, count: number): ReadonlyMap<number, number> {
  return new Map(Array.from(slots.subarray(0, count), (slot, index) => [slot, clamp(scores[index] ?? 0)]));
}

function countTies({ totals, count }: ProfileResult): number {
  const used = totals.subarray(0, count);
  const best = Math.max(...used);
  return used.filter((total) => total === best).length;
}
