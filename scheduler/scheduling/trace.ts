/** Scores of one scorer over the survivors of the filters. */
export interface ScorerTrace {
  readonly scorer: string;
  readonly weight: number;
  /** Clamped to [0, 1], not weighted; by slot. */
  readonly scores: ReadonlyMap<number, number>;
}

/** What one profile did. */
export interface ProfileTrace {
  readonly profile: string;
  readonly candidates: number;
  readonly scorers: readonly ScorerTrace[];
  readonly picker: string;
  /** Survivors that share the highest total; above 1 chance decided. */
  readonly ties: number;
}

/** How a decision came about. */
export type DecisionTrace = ProfileTrace[];
