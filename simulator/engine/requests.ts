/** A request as submitted: all its tokens are known from the start, since the answer is simulated. */
export interface EngineRequest {
  readonly id: string;
  readonly promptTokens: readonly number[];
  /** Tokens the engine will generate, at least one. */
  readonly outputTokens: readonly number[];
  /** Adapter name, or "" for the base model. */
  readonly adapter: string;
  /** Another engine computed the prompt (`do_remote_prefill`): its KV blocks are transferred, not computed. */
  readonly remotePrefill?: boolean;
  /** Another engine goes on (`do_remote_decode`): the KV blocks are held when the request is finished. */
  readonly remoteDecode?: boolean;
  /** Share of the prompt, 0 to 1, that has to be cached; the request is refused where less of it is. Default 0. */
  readonly cacheHitThreshold?: number;
}

/** Progress of one request after a step. */
export interface Emission {
  readonly id: string;
  /** Index of the generated token. */
  readonly index: number;
  readonly finished: boolean;
}

/** What happened when a request first entered the batch. */
export interface Admission {
  readonly id: string;
  /** Prompt tokens that need no computing here: cached or transferred. */
  readonly cachedTokens: number;
}

/** KV blocks of a prompt that are to come from another engine. */
export interface Transfer {
  readonly id: string;
  /** Tokens of the whole prompt, and those of them that are not cached here. */
  readonly promptTokens: number;
  readonly missingTokens: number;
}
