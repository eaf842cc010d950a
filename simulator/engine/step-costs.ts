/**
 * Duration of one engine step in microseconds: c0 + cp·P + ca·A + cd·D + ck·K with P uncached prefill tokens,
 * A = Σ n·(context before + n/2) over prefill chunks, D decode requests, K = Σ context lengths of decode requests.
 */
export interface StepCosts {
  readonly fixed: number;
  readonly perPrefillToken: number;
  readonly perAttendedPair: number;
  readonly perDecodeRequest: number;
  readonly perContextToken: number;
}

/** Costs fitted for Llama 3.1 8B on one H100 from published measurements (BLIS / inference-sim). */
export const LLAMA_8B_H100: StepCosts = {
  fixed: 6500,
  perPrefillToken: 22,
  perAttendedPair: 0.0006,
  perDecodeRequest: 20,
  perContextToken: 0.076,
};

/** What one step computed, from which its duration follows. */
export interface StepWork {
  readonly prefillTokens: number;
  readonly attendedPairs: number;
  readonly decodeRequests: number;
  /** How many of the decode requests get their first token, since another engine computed their prompt. */
  readonly resumedRequests: number;
  readonly contextTokens: number;
}

/** Duration of a step in milliseconds. */
export function stepDurationMs(work: StepWork, costs: StepCosts): number {
  const micros =
    costs.fixed +
    costs.perPrefillToken * work.prefillTokens +
    costs.perAttendedPair * work.attendedPairs +
    costs.perDecodeRequest * work.decodeRequests +
    costs.perContextToken * work.contextTokens;
  return micros / 1000;
}

/** Cost of moving KV blocks from one engine to another, in microseconds. */
export interface TransferCosts {
  readonly setUp: number;
  readonly perToken: number;
}

/** Llama 3.1 8B (128 KiB a token) over InfiniBand NDR: 1 ms to set up, 40 GB/s. */
export const LLAMA_8B_NDR: TransferCosts = { setUp: 1000, perToken: (128 * 1024) / 40_000 };

/** Duration of the transfer of so many tokens in milliseconds. */
export function transferDurationMs(tokens: number, { setUp, perToken }: TransferCosts): number {
  return (setUp + perToken * tokens) / 1000;
}
