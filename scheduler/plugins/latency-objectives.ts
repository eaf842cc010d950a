import type { Headers } from "../request/types.ts";

/** Objective of a request in ms, for the first token or for each further one; 0: none, or not a number. */
export function sloOf(headers: Headers, kind: "ttft" | "tpot"): number {
  const text = headers.get(`x-llm-d-slo-${kind}-ms`) ?? headers.get(`x-slo-${kind}-ms`) ?? "";
  const value = Number(text.trim());
  return text.trim() !== "" && Number.isFinite(value) && value > 0 ? value : 0;
}
