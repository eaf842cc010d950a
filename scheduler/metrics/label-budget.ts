import type { MetricsRegistry } from "../../telemetry/metrics.ts";

/** Distinct names that get series of their own. */
const MAX_NAMES = 1000;
/** A longer name is nobody's model; a client that sends such ones must not fill the memory. */
const MAX_NAME_LENGTH = 256;
const UNPRINTABLE = /\p{Cc}/u;

/** Value of a label that stands for all names beyond the budget. */
export const OTHER = "other";

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
    if (this.#known.size > MAX_NAMES || name.length > MAX_NAME_LENGTH || UNPRINTABLE.test(name)) return OTHER;
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
