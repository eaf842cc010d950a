import { type Fields, recordsAt } from "./fields.ts";

/** A condition without its times. */
export interface ConditionState {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message?: string;
  /** `metadata.generation` that the condition is about, where the kind records it. */
  readonly observedGeneration?: number | undefined;
}

/**
 * The conditions with `lastTransitionTime` set: kept from the condition of that type in `previous` while its status stays,
 * else `now` (RFC 3339).
 */
export function stampConditions(states: readonly ConditionState[], previous: unknown, now: string): Fields[] {
  const known = new Map(recordsAt({ previous }, "previous").map((condition) => [condition["type"], condition]));
  return states.map((state) => {
    const before = known.get(state.type);
    const kept = before?.["status"] === state.status ? before["lastTransitionTime"] : undefined;
    return { ...withoutUndefined(state), lastTransitionTime: kept ?? now };
  });
}

function withoutUndefined(state: ConditionState): Fields {
  return Object.fromEntries(Object.entries(state).filter(([, value]) => value !== undefined));
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
