import type { Random } from "../framework/cycle.ts";

/** A model that a rule sends requests to. */
export interface RewriteTarget {
  readonly model: string;
  /** Share of requests, relative to the other targets; undefined: not stated. */
  readonly weight: number | undefined;
}

/** One rule of an InferenceModelRewrite. */
export interface RewriteRule {
  /** Name of the InferenceModelRewrite that holds it. */
  readonly name: string;
  /** Models that it matches exactly; empty: every model. */
  readonly models: readonly string[];
  readonly targets: readonly RewriteTarget[];
}

/** Rules in force, by the model that a request names. */
export interface RewriteTable {
  /** The rule for a model: one that matches it exactly wins over one that matches all. */
  find(model: string): RewriteRule | undefined;
  /** Every model that a rule matches or sends to. */
  readonly models: ReadonlySet<string>;
}

/** Orders rules, of which the earlier one wins, into a table. */
export function createRewriteTable(rules: readonly RewriteRule[]): RewriteTable {
  const exact = new Map<string, RewriteRule>();
  let generic: RewriteRule | undefined;
  const models = new Set<string>();
  for (const rule of rules) {
    if (rule.models.length === 0) generic ??= rule;
    for (const model of rule.models) if (!exact.has(model)) exact.set(model, rule);
    for (const model of [...rule.models, ...rule.targets.map((target) => target.model)]) models.add(model);
  }
  return { find: (model) => exact.get(model) ?? generic, models };
}

/** A table without rules. */
export const NO_REWRITES: RewriteTable = createRewriteTable([]);

/**
 * The model that a rule sends the next request to: drawn by weight, or uniformly where no target states one. A target without
 * a weight beside others that have one is never drawn. Empty where the rule has no target.
 */
export function drawTarget({ targets }: RewriteRule, random: Random): string {
  if (targets.length <= 1) return targets[0]?.model ?? "";
  const sum = targets.reduce((total, { weight = 0 }) => total + weight, 0);
  if (sum === 0) return targets[Math.floor(random.next() * targets.length)]?.model ?? "";
  let rest = random.next() * sum;
  for (const { model, weight = 0 } of targets) {
    rest -= weight;
    if (rest < 0) return model;
  }
  return targets.findLast(({ weight = 0 }) => weight > 0)?.model ?? "";
}
