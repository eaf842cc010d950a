import { NO_REWRITES, type RewriteTable } from "./rewrite.ts";

/** What the InferenceObjectives and InferenceModelRewrites of the pool say at the moment. */
export interface RequestPolicies {
  /** Priority of an objective, 0 where it states none; undefined where there is no such objective. */
  priorityOf(objective: string): number | undefined;
  rewrites(): RewriteTable;
}

/** No objective, no rewrite. */
export const NO_POLICIES: RequestPolicies = { priorityOf: () => undefined, rewrites: () => NO_REWRITES };
