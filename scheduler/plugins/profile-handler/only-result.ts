import type { Cycle, Refusal } from "../../framework/cycle.ts";

/** The first profile that ran, or why it found no target. */
export function onlyResult({ results }: Cycle): { readonly profile: string } | { readonly refusal: Refusal } {
  const profile = results.names()[0] ?? "";
  const refusal = results.refusal(profile);
  if (refusal === undefined) return { profile };
  const message = `failed to run scheduler profile '${profile}': ${refusal.message}`;
  return { refusal: { ...refusal, message } };
}
