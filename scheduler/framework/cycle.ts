/** One request on its way through the plugins. */
import type { DroppedReason, Headers, ParsedBody, RequestErrorCode } from "../request/types.ts";
import type { EndpointColumns } from "./endpoint.ts";

/** Source of uniform random numbers in [0, 1). */
export interface Random {
  next(): number;
  /** State that repeats the next numbers; undefined: they cannot be repeated. */
  readonly state?: number;
}

/** The request as plugins see it. */
export interface SchedulingRequest {
  readonly id: string;
  readonly incomingModel: string;
  /** Model after rewrite. */
  readonly targetModel: string;
  readonly headers: Headers;
  readonly body: ParsedBody;
  /** Higher is more important; negative may be shed. */
  readonly priority: number;
  readonly fairnessId: string;
}

/** An expected "no" with its HTTP meaning. */
export interface Refusal {
  readonly code: RequestErrorCode;
  readonly message: string;
  readonly droppedReason?: DroppedReason | undefined;
}

/**
 * Outcome of one profile. Owned by the cycle and overwritten by the next request: copy what must live on.
 * `slots` and `totals` are parallel; the first `targetCount` are the targets in order of preference, and the first
 * `count` are all survivors of the filters.
 */
export interface ProfileResult {
  readonly profile: string;
  slots: Int32Array;
  totals: Float64Array;
  count: number;
  targetCount: number;
  /** Why the profile found no target; undefined on success. */
  refusal: Refusal | undefined;
}

/** Results of the profiles run so far. A failed profile is present with its refusal. */
export interface ProfileResults {
  /** Whether the profile ran or was skipped on purpose. */
  has(profile: string): boolean;
  /** The successful result, else undefined. */
  get(profile: string): ProfileResult | undefined;
  /** The refusal of a profile that ran and failed. */
  refusal(profile: string): Refusal | undefined;
  /** Names in the order of running, failed ones included. */
  names(): readonly string[];
  /** Marks a profile as done without running it. */
  skip(profile: string): void;
}

/** State of one decision. Cycles are pooled: nothing in it may be kept after the hook returns. */
export interface Cycle {
  readonly request: SchedulingRequest;
  readonly endpoints: EndpointColumns;
  /** Slots of the candidates; only the first `candidateCount` are valid. */
  readonly candidates: Int32Array;
  readonly candidateCount: number;
  readonly results: ProfileResults;
  readonly random: Random;
  /** Monotonic ms of the decision. */
  readonly nowMs: number;
  /** Endpoint picked by an earlier stage, for filters and scorers that look for nearness; -1: none. */
  peerSlot: number;
  /** Name of the profile that is running; "" outside of a profile. */
  readonly profile: string;
  /** Records of produced data, by the index that the pipeline gave each key. */
  readonly records: unknown[];
  /** What `prepare` of each plugin found out for this request, by plugin index; undefined: nothing. */
  readonly prepared: readonly unknown[];
}

/** What a decision adds to the request, and how its later life is followed. */
export interface Decision {
  readonly primary: ProfileResult;
  readonly results: ProfileResults;
  /** Identity of the request for the response hooks. */
  readonly ticket: Ticket;
  /** Addresses of the targets as the proxy gets them, preferred first; a plugin may replace them. */
  destinations: readonly string[];
  /** Sets a header of the request towards the model server. */
  setHeader(name: string, value: string): void;
  /** Takes a header that the client sent out of the request. */
  removeHeader(name: string): void;
}

/** A routed request after its decision: survives until `onComplete`. */
export interface Ticket {
  /** Without its body, which may be large and is not needed any more: many requests wait for long answers. */
  readonly request: Omit<SchedulingRequest, "body">;
  /** First target of the primary profile. */
  readonly slot: number;
  readonly generation: number;
  /** State of plugins for this request, by the index that the pipeline gave each plugin instance. */
  readonly states: unknown[];
}
