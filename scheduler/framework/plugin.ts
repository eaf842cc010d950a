/** Contracts of plugins: what each kind does, and how a type declares itself. */
import type { Logger } from "../../telemetry/log.ts";
import type { MetricsRegistry } from "../../telemetry/metrics.ts";
import type { Headers, ResponseSummary, Usage } from "../request/types.ts";
import type { Cycle, Decision, Refusal, Ticket } from "./cycle.ts";
import type { DataHandle, DataKey, DataUse } from "./data.ts";
import type { EndpointColumns } from "./endpoint.ts";
import type { Field } from "./parameters.ts";

/** Places where a plugin may be used. */
export type PluginKind =
  | "profile-handler"
  | "filter"
  | "scorer"
  | "picker"
  | "data-producer"
  | "admitter"
  | "pre-request"
  | "request-header"
  | "response-header"
  | "response-body"
  | "screener"
  | "decider"
  | "data-source"
  | "extractor"
  | "discovery"
  | "ordering-policy"
  | "fairness-policy"
  | "usage-limit-policy"
  | "saturation-detector"
  | "eviction-filter"
  | "eviction-order-policy"
  | "parser";

/** Removes endpoints. */
export interface Filter {
  /**
   * Keeps some of the first `count` slots: moves them to the front in their order and returns how many remain.
   * Cost: called once for each profile run; must not allocate.
   */
  filter(cycle: Cycle, slots: Int32Array, count: number): number;
  /** Why `filter` has just dropped the endpoint, in a few words. Asked for traces alone, right after `filter`. */
  dropReason?(cycle: Cycle, slot: number): string;
}

/** Rates endpoints. */
export interface Scorer {
  /**
   * Writes the score of `slots[i]` to `scores[i]` for i < count. `scores` arrives zeroed. Values are clamped to [0, 1]
   * afterwards; NaN counts as 0.
   */
  score(cycle: Cycle, slots: Int32Array, count: number, scores: Float64Array): void;
}

/** Chooses targets. */
export interface Picker {
  /**
   * Reorders `slots` and `totals` alike so that the chosen targets come first, best first, and returns their number
   * (≥ 1 as `count` ≥ 1). Equal totals must be drawn uniformly from `cycle.random`.
   */
  pick(cycle: Cycle, slots: Int32Array, totals: Float64Array, count: number): number;
}

/** Decides which profiles run, and which result is the answer. */
export interface ProfileHandler {
  /** Profiles to run next, given `cycle.results`; empty: done. */
  nextProfiles(cycle: Cycle, profiles: readonly string[]): readonly string[];
  /** Name of the primary profile, or why there is no answer. */
  primaryProfile(cycle: Cycle): { readonly profile: string } | { readonly refusal: Refusal };
}

/** Yes-or-no question about a request and the endpoint picked so far (-1: none). */
export interface Decider {
  decide(cycle: Cycle, slot: number): boolean;
}

/** Computes data that other plugins read. */
export interface DataProducer {
  /** Fills the records of this request. */
  produce(cycle: Cycle): void;
}

/** Asks somebody outside the process before a decision, on behalf of `produce`. */
export interface Preparer {
  /**
   * Starts what has to be awaited; undefined when this request needs nothing. Called in a cycle whose earlier producers
   * have run; the cycle is reused meanwhile, so copy what is needed. The outcome is `cycle.prepared[context.index]` when
   * the request's own cycle runs; a rejection costs the data alone.
   */
  prepare(cycle: Cycle, signal: AbortSignal): Promise<unknown> | undefined;
}

/** Narrows the candidates before any data is computed. */
export interface Screener {
  /** Keeps some of the first `count` slots, like `Filter.filter`. None left: the request is refused with 503. */
  screen(cycle: Cycle, slots: Int32Array, count: number): number;
}

/** Finds out who a request belongs to when its fairness header does not say. */
export interface Identifier {
  /** The fairness id; undefined when the headers tell none. */
  fairnessId(headers: Headers): string | undefined;
}

/** May refuse a request after its data is known. */
export interface Admitter {
  admit(cycle: Cycle): Refusal | undefined;
}

/** Acts on a decision before the request is sent. */
export interface PreRequest {
  preRequest(cycle: Cycle, decision: Decision): void;
}

/** Headers to set on the answer to the client. */
export type HeaderWrites = readonly (readonly [name: string, value: string])[];

/** Values for the proxy, by name within `envoy.lb` or another namespace. */
export type MetadataWrites = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Follows a routed request. Each hook may be absent. */
export interface ResponseHooks {
  /** Returns headers to set on the answer, if any. */
  onResponseHeaders(ticket: Ticket, headers: Headers, servedEndpoint: string | undefined): HeaderWrites | undefined;
  /** The first byte of the answer's body arrived. */
  onFirstChunk(ticket: Ticket): void;
  /** A chunk arrived; `first` marks the first one. Only called when `wantsResponseBody` of the instance is true. */
  onResponseBody(ticket: Ticket, chunk: Buffer, first: boolean, endOfStream: boolean): void;
  /** At the end of the answer: values to hand to the proxy, computed from the token counts. */
  onUsage(ticket: Ticket, usage: Usage): MetadataWrites | undefined;
  onComplete(ticket: Ticket, summary: ResponseSummary): void;
}

/** Tells how loaded a set of endpoints is. */
export interface SaturationDetector {
  /** 0 idle, 1 at the set point, more when over-subscribed. An empty set is 1. */
  saturation(cycle: Cycle, slots: Int32Array, count: number): number;
}

/** A request that waits in a queue of flow control. */
export interface QueuedRequest {
  readonly id: string;
  readonly fairnessId: string;
  /** Higher is more important. */
  readonly priority: number;
  readonly headers: Headers;
  readonly sizeBytes: number;
  /** Monotonic ms. */
  readonly receivedAtMs: number;
  readonly enqueuedAtMs: number;
  /** Longest wait in ms; 0: no limit. */
  readonly ttlMs: number;
}

/** The waiting requests of one fairness id in one band: at least one. */
export interface FlowView {
  readonly id: string;
  /** The next one by the band's order. */
  readonly head: QueuedRequest;
  readonly headKey: number;
}

/** All that waits at one priority. */
export interface BandView {
  readonly priority: number;
  /** At least one. */
  readonly flows: readonly FlowView[];
  /** Monotonic ms. */
  readonly nowMs: number;
}

/** Orders the requests of a flow. */
export interface OrderingPolicy {
  /** The lowest key goes first; of equal ones the one that came first. */
  orderKey(request: QueuedRequest): number;
}

/** Chooses whose turn it is within a band. */
export interface FairnessPolicy {
  /** Index into `band.flows`. */
  chooseFlow(band: BandView): number;
}

/** Limits how full the pool may be for each band to send requests. */
export interface UsageLimitPolicy {
  /** Writes a ceiling for each priority (the most important first) to `out`, which arrives filled with 1. */
  ceilings(saturation: number, priorities: readonly number[], out: Float64Array): void;
}

/** Changes of the fleet, for plugins that keep state by slot. */
export interface EndpointListener {
  onEndpointAdded(slot: number): void;
  /** The slot's endpoint is gone; the slot may be reused at once. */
  onEndpointRemoved(slot: number): void;
}

/** A plugin instance: the members of its kinds. */
export interface Plugin
  extends Partial<Filter>,
    Partial<Scorer>,
    Partial<Picker>,
    Partial<ProfileHandler>,
    Partial<Decider>,
    Partial<DataProducer>,
    Partial<Preparer>,
    Partial<Screener>,
    Partial<Identifier>,
    Partial<Admitter>,
    Partial<PreRequest>,
    Partial<ResponseHooks>,
    Partial<SaturationDetector>,
    Partial<OrderingPolicy>,
    Partial<FairnessPolicy>,
    Partial<UsageLimitPolicy>,
    Partial<EndpointListener> {
  /** True when `onResponseBody` has to see the chunks. */
  readonly wantsResponseBody?: boolean;
  /** State for the debug page; bounded, without prompt data. */
  dumpState?(): unknown;
}

/** What a plugin gets when it is made. */
export interface PluginContext {
  /** Instance name. */
  readonly name: string;
  /** Index of this instance into `Ticket.states`. */
  readonly index: number;
  readonly endpoints: EndpointColumns;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Monotonic ms. */
  readonly now: () => number;
  /** Between two readings of an endpoint's metrics while requests arrive, in ms. */
  readonly metricsIntervalMs: number;
  /** HTTP client for plugins that ask other services. */
  readonly fetch: typeof fetch;
  /** Environment of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /**
   * What the instance remembers from request to request: made once, and handed to its successor when a changed configuration
   * is taken over, as long as name, type and parameters are the same. At most one for each instance.
   */
  keep<T>(make: () => T): T;
  /** Handle to data made by the instance named `producer`. */
  data<T>(key: DataKey<T>, producer: string): DataHandle<T>;
  /** Whether any plugin declared the use of this key of this producer. */
  isConsumed(key: DataKey<unknown>, producer: string): boolean;
  /** An instance that a parameter refers to; the configuration has been checked to contain it. */
  plugin(name: string): Plugin;
  /** Names of the profiles that hold disaggregated stages, as the profile handler's parameters call them. */
  readonly stages: Stages;
}

/** Profiles of the stages of disaggregated serving. */
export interface Stages {
  readonly decode: string;
  readonly prefill: string;
  readonly encode: string;
}

/** A reference to another plugin found in parameters. */
export interface PluginReference {
  readonly name: string;
  /** Path of the parameter within `parameters`. */
  readonly path: string;
  /** What the plugin has to be; undefined: anything. */
  readonly kind?: PluginKind | undefined;
}

/** Old spellings of parameters, rewritten before they are read. */
export type ParameterMigration = (
  parameters: Readonly<Record<string, unknown>>,
  warn: (text: string) => void,
) => Readonly<Record<string, unknown>>;

/** Declaration of a plugin type. `P` is the type of its validated parameters. */
export interface PluginDefinition<P> {
  readonly type: string;
  readonly kinds: readonly PluginKind[];
  readonly stability: "alpha" | "beta";
  /** Replacement, for deprecated types. */
  readonly deprecated?: string;
  /** What it does, in a sentence or two. */
  readonly description: string;
  readonly parameters: Field<P>;
  /** Rewrites old spellings of parameters before they are read. */
  readonly migrate?: ParameterMigration;
  /** Data that an instance with these parameters reads. */
  readonly consumes?: (parameters: P) => readonly DataUse[];
  /** Data that an instance makes, under its own name. */
  readonly produces?: readonly DataKey<unknown>[];
  /** Other plugins that the parameters name. */
  readonly references?: (parameters: P) => readonly PluginReference[];
  /** For profile handlers: the profiles of the stages. */
  readonly stages?: (parameters: P) => Stages;
  /** Makes an instance. Absent: the type is accepted in a configuration and does nothing; a warning says so. */
  readonly create?: (parameters: P, context: PluginContext) => Plugin;
  /** Why an absent `create` is in order: who does the work instead. Suppresses the warning. */
  readonly handledBy?: string;
  /** What an instance leaves undone, for a warning when the configuration is loaded. */
  readonly limits?: string;
}

/** A definition with its parameter type hidden, as registries hold it. */
export type AnyPluginDefinition = PluginDefinition<unknown>;

/** Checks a definition against its own parameter type, then hides that type. */
export function definePlugin<P>(definition: PluginDefinition<P>): AnyPluginDefinition {
  return definition as unknown as AnyPluginDefinition;
}

/** The plugin types of a process, by type string. */
export type PluginRegistry = ReadonlyMap<string, AnyPluginDefinition>;
