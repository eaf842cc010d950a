import { choice, number, object, retired } from "../../framework/parameters.ts";
import { definePlugin, type FlowView } from "../../framework/plugin.ts";

/** Programs that are remembered; further ones take the place of those that were served longest ago. */
const MAX_PROGRAMS = 10_000;
const MS = 1000;
/** What a token of the answer costs, where one of the prompt costs 1. */
const ANSWER_COST = 2;

/** Service that a program has had, as of `atMs`. */
interface Service {
  readonly tokens: number;
  readonly atMs: number;
}

/** 0 to 1 over the given values; 0.5 where they are alike. */
function normalized(values: readonly number[]): readonly number[] {
  const min = Math.min(...values);
  const range = Math.max(...values) - min;
  return values.map((value) => (range === 0 ? 0.5 : (value - min) / range));
}

/** Serves the flow that has had the least service, and those that wait long. */
export const programAwareFairness = definePlugin({
  type: "program-aware-fairness",
  kinds: ["fairness-policy", "response-body"],
  stability: "beta",
  description: "Serves the flow that has had the least service, and those that wait long.",
  limits: "service counts when an answer ends; the metrics program_aware_* are not there",
  parameters: object({
    strategy: choice({ doc: "How flows are rated.", default: "las", of: ["las", ""] }),
    lasWeightService: number({ doc: "Weight of the service had.", default: 0.8, min: 0 }),
    lasWeightHeadWait: number({ doc: "Weight of the wait.", default: 0.2, min: 0 }),
    lasHalfLifeSeconds: number({ doc: "Half-life of the service had; 0: for ever.", default: 60, min: 0 }),
    lasDecayFactor: retired("lasHalfLifeSeconds decides"),
    evictionTtlSeconds: number({ doc: "Idle time after which a flow is forgotten; 0: never.", default: 3600, min: 0 }),
    evictionSweepSeconds: number({ doc: "Pause between clean-ups.", default: 300, above: 0 }),
  }),
  create: ({ lasWeightService, lasWeightHeadWait, lasHalfLifeSeconds, evictionTtlSeconds }, context) => {
    /** By fairness id; served longest ago first. */
    const programs = context.keep(() => new Map<string, Service>());
    const tokensAt = (id: string, nowMs: number): number => {
      const { tokens, atMs } = programs.get(id) ?? { tokens: 0, atMs: nowMs };
      if (lasHalfLifeSeconds === 0) return tokens;
      return tokens * 2 ** (-Math.max(0, nowMs - atMs) / (lasHalfLifeSeconds * MS));
    };
    const forget = (nowMs: number): void => {
      for (const [id, { atMs }] of programs) {
        const isIdle = evictionTtlSeconds > 0 && nowMs - atMs > evictionTtlSeconds * MS;
        if (!isIdle && programs.size <= MAX_PROGRAMS) return;
        programs.delete(id);
      }
    };
    const isBetter = (score: number, flow: FlowView, best: number, other: FlowView): boolean => {
      if (score !== best) return score > best;
      const [a, b] = [flow.head.enqueuedAtMs, other.head.enqueuedAtMs];
      return a === b ? flow.id < other.id : a < b;
    };
    return {
      chooseFlow: ({ flows, nowMs }) => {
        const service = normalized(flows.map(({ id }) => tokensAt(id, nowMs)));
        const waits = normalized(flows.map(({ head }) => Math.floor(nowMs - head.enqueuedAtMs)));
        const scores = flows.map(
          (_, index) => lasWeightService * (1 - service[index]!) + lasWeightHeadWait * waits[index]!,
        );
        return flows.reduce(
          (best, flow, index) => (isBetter(scores[index]!, flow, scores[best]!, flows[best]!) ? index : best),
          0,
        );
      },
      onComplete: ({ request: { fairnessId } }, { usage }) => {
        const nowMs = context.now();
        const cost = (usage?.promptTokens ?? 0) + ANSWER_COST * (usage?.completionTokens ?? 0);
        const tokens = tokensAt(fairnessId, nowMs) + cost;
        programs.delete(fairnessId);
        programs.set(fairnessId, { tokens, atMs: nowMs });
        forget(nowMs);
      },
      dumpState: () => ({ totalPrograms: programs.size }),
    };
  },
});
