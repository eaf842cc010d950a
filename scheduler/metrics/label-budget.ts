import { type MetricsRegistry, OTHER, isLabelValue } from "../../telemetry/metrics.ts";

/** Distinct names that get series of their own. */
const MAX_NAMES = 1000;

/** Admits a bounded number of distinct names that clients choose; all later ones are `other`. */
export class NameBudget {
  readonly #known = new Set<string>([""]);
  #always: () => ReadonlySet<string> = () => NONE;

  /** Names that the configuration holds are admitted beyond the budget. */
  alwaysAdmit(names: () => ReadonlySet<string>): void {
    this.#always = names;
  }

  admit(name: string): string {
    if (this.#known.has(name)) return name;
    if (this.#always().has(name)) return name;
    if (this.#known.size > MAX_NAMES || !isLabelValue(name)) return OTHER;
    this.#known.add(name);
    return name;
  }
}

const NONE: ReadonlySet<string> = new Set();

/** What the metrics of one process share: models and target models have one budget, fairness ids another. */
export interface LabelBudgets {
  readonly models: NameBudget;
  readonly fairnessIds: NameBudget;
}

const budgets = new WeakMap<MetricsRegistry, LabelBudgets>();

/** The budgets of a registry. */
export function labelBudgetsOf(registry: MetricsRegistry): LabelBudgets {
  const known = budgets.get(registry) ?? { models: new NameBudget(), fairnessIds: new NameBudget() };
  budgets.set(registry, known);
  return known;
}
