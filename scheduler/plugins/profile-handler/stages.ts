/** Stages of disaggregated serving: what the handlers of prefill, decode and encode share. */
import type { Cycle, Decision, Refusal } from "../../framework/cycle.ts";
import type { Stages } from "../../framework/plugin.ts";

const PREFILL_HEADER = "x-prefiller-host-port";
const ENCODE_HEADER = "x-encoder-hosts-ports";
const NO_WORKERS = "failed to find available decode workers";

/** Tells the decode pod's sidecar the prefill target and the encode targets; what a client sent of it is removed. */
export function announceStages(cycle: Cycle, decision: Decision, { prefill, encode }: Omit<Stages, "decode">): void {
  const prefillSlot = decision.results.get(prefill)?.slots[0];
  decision.removeHeader(PREFILL_HEADER);
  if (prefillSlot !== undefined) decision.setHeader(PREFILL_HEADER, cycle.endpoints.metadata(prefillSlot).hostPort);
  const encoders = decision.results.get(encode);
  decision.removeHeader(ENCODE_HEADER);
  if (encoders === undefined) return;
  const targets = Array.from(encoders.slots.subarray(0, encoders.targetCount));
  decision.setHeader(ENCODE_HEADER, targets.map((slot) => cycle.endpoints.metadata(slot).hostPort).join(","));
}

/** The decode profile is the answer; other stages may fail. */
export function decodeResult(
  { results }: Cycle,
  decode: string,
): { readonly profile: string } | { readonly refusal: Refusal } {
  if (results.get(decode) !== undefined) return { profile: decode };
  const refusal = results.refusal(decode) ?? { code: "ResourceExhausted" as const, message: "" };
  return { refusal: { ...refusal, message: [NO_WORKERS, refusal.message].filter((text) => text !== "").join(": ") } };
}

/** First target of a profile that succeeded; -1: none. */
export const targetOf = ({ results }: Cycle, profile: string): number => results.get(profile)?.slots[0] ?? -1;
