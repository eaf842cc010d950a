import { sameJson } from "../../crds/json.ts";
import type { JsonObject } from "../../crds/schema/types.ts";

/** What decides the scheduler configuration of a service that gives none. */
export interface SchedulerTopology {
  /** Prefill and decode on separate pods. */
  readonly disaggregated: boolean;
  /** Whether the service has LoRA adapters. */
  readonly lora: boolean;
}

/** A scorer chosen by name, with `parameters` of its own or none. */
export interface ScorerChoice {
  readonly name: string;
  readonly weight: number;
  readonly parameters: JsonObject | undefined;
}

/** A picker chosen by name. */
export interface PickerChoice {
  readonly name: string;
  readonly parameters: JsonObject | undefined;
}

const API_VERSION = "llm-d.ai/v1alpha1";
const LORA_SCORER = "lora-affinity-scorer";
const LORA_WEIGHT = 4;
const DECIDER = "always-disagg-pd-decider";

/** Picker of every generated configuration unless the service chooses one. */
export const DEFAULT_PICKER = "max-score-picker";

type Weights = readonly (readonly [scorer: string, weight: number])[];

/** Weights of the default configurations, those of KServe after v0.20. */
const SINGLE: Weights = [
  ["queue-scorer", 2],
  ["kv-cache-utilization-scorer", 2],
  ["prefix-cache-scorer", 3],
  ["no-hit-lru-scorer", 2],
];
const PREFILL: Weights = [
  ["prefix-cache-scorer", 3],
  ["queue-scorer", 2],
  ["kv-cache-utilization-scorer", 2],
];
const DECODE: Weights = [
  ["active-request-scorer", 2],
  ["prefix-cache-scorer", 3],
];
/** In the order in which KServe declares them. */
const DISAGGREGATED_SCORERS = [
  "queue-scorer",
  "kv-cache-utilization-scorer",
  "active-request-scorer",
  "prefix-cache-scorer",
];

interface Profile {
  readonly name: string;
  readonly filters: readonly string[];
  readonly scorers: Weights;
}

interface Layout {
  /** Plugins before the scorers, and after the picker. */
  readonly head: readonly JsonObject[];
  readonly tail: readonly JsonObject[];
  readonly scorers: readonly JsonObject[];
  readonly profiles: readonly Profile[];
}

const plugin = (type: string, parameters?: JsonObject): JsonObject =>
  parameters === undefined ? { type } : { type, parameters };

function singleProfile(scorers: readonly JsonObject[], weights: Weights): Layout {
  const profiles = [{ name: "default", filters: [], scorers: weights }];
  return { head: [plugin("single-profile-handler")], scorers, tail: [], profiles };
}

/** Deciders stand before the handler that names them. */
function prefillDecode(scorers: readonly JsonObject[], prefill: Weights, decode: Weights): Layout {
  return {
    head: [plugin("disagg-headers-handler"), plugin("prefill-filter"), plugin("decode-filter")],
    scorers,
    tail: [plugin(DECIDER), plugin("disagg-profile-handler", { deciders: { prefill: DECIDER } })],
    profiles: [
      { name: "prefill", filters: ["prefill-filter"], scorers: prefill },
      { name: "decode", filters: ["decode-filter"], scorers: decode },
    ],
  };
}

/** LoRA affinity comes last among the plugins and first in each profile. */
function withLora(layout: Layout): Layout {
  return {
    ...layout,
    tail: [...layout.tail, plugin(LORA_SCORER)],
    profiles: layout.profiles.map((profile) => ({
      ...profile,
      scorers: [[LORA_SCORER, LORA_WEIGHT] as const, ...profile.scorers],
    })),
  };
}

function rendered(layout: Layout, choice: PickerChoice | undefined): JsonObject {
  const picker = choice?.name ?? DEFAULT_PICKER;
  return {
    apiVersion: API_VERSION,
    kind: "EndpointPickerConfig",
    plugins: [...layout.head, ...layout.scorers, plugin(picker, choice?.parameters), ...layout.tail],
    schedulingProfiles: layout.profiles.map(({ name, filters, scorers }) => ({
      name,
      plugins: [
        ...filters.map((pluginRef) => ({ pluginRef })),
        ...scorers.map(([pluginRef, weight]) => ({ pluginRef, weight })),
        { pluginRef: picker },
      ],
    })),
  };
}

const plugins = (names: readonly string[]): JsonObject[] => names.map((name) => plugin(name));

/** The EndpointPickerConfig of a service that gives none, with its picker replaced where one is chosen. */
export function defaultSchedulerConfig(topology: SchedulerTopology, choice?: PickerChoice): JsonObject {
  const layout = topology.disaggregated
    ? prefillDecode(plugins(DISAGGREGATED_SCORERS), PREFILL, DECODE)
    : singleProfile(plugins(SINGLE.map(([name]) => name)), SINGLE);
  return rendered(topology.lora ? withLora(layout) : layout, choice);
}

/**
 * The EndpointPickerConfig of `scorerPlugins` and `pickerPlugin`: handlers and filters of the topology, these scorers in each
 * profile. Without scorers it is the default with its picker replaced.
 */
export function chosenSchedulerConfig(
  topology: SchedulerTopology,
  scorers: readonly ScorerChoice[],
  choice: PickerChoice | undefined,
): JsonObject {
  if (scorers.length === 0) return defaultSchedulerConfig(topology, choice);
  const entries = scorers.map(({ name, parameters }) => plugin(name, parameters));
  const weights = scorers.map(({ name, weight }) => [name, weight] as const);
  const layout = topology.disaggregated ? prefillDecode(entries, weights, weights) : singleProfile(entries, weights);
  return rendered(layout, choice);
}

/** Minor releases 0.x that first knew the plugins and the API group of the current defaults, and the handlers of today. */
const CURRENT_SINCE = 9;
const DISAGG_SINCE = 7;

const OLD_API_VERSION = "inference.networking.x-k8s.io/v1alpha1";
const FIRST_SINGLE: Weights = [
  ["prefix-cache-scorer", 2],
  ["load-aware-scorer", 1],
];
const SECOND: Weights = [
  ["queue-scorer", 2],
  ["prefix-cache-scorer", 3],
];

function pickerLast(name: string, filters: readonly string[], weights: Weights): JsonObject {
  const entries = [
    ...filters.map((pluginRef) => ({ pluginRef })),
    ...weights.map(([pluginRef, weight]) => ({ pluginRef, weight })),
  ];
  return { name, plugins: [...entries, { pluginRef: DEFAULT_PICKER }] };
}

function earlierConfig(plugins: readonly JsonObject[], profiles: readonly JsonObject[]): JsonObject {
  return {
    apiVersion: OLD_API_VERSION,
    kind: "EndpointPickerConfig",
    plugins: [...plugins],
    schedulingProfiles: [...profiles],
  };
}

function earlierSingle(weights: Weights): JsonObject {
  const types = ["single-profile-handler", ...weights.map(([name]) => name), DEFAULT_PICKER];
  return earlierConfig(plugins(types), [pickerLast("default", [], weights)]);
}

function earlierDisaggregated(head: readonly JsonObject[], tail: readonly JsonObject[], weights: Weights): JsonObject {
  const common = plugins(["prefill-filter", "decode-filter", ...weights.map(([name]) => name), DEFAULT_PICKER]);
  return earlierConfig(
    [...head, ...common, ...tail],
    [pickerLast("prefill", ["prefill-filter"], weights), pickerLast("decode", ["decode-filter"], weights)],
  );
}

/** Defaults that KServe v0.16 to v0.20 generated, by topology; none of the early ones knew LoRA. */
const EARLIER_SINGLE: readonly JsonObject[] = [earlierSingle(FIRST_SINGLE), earlierSingle(SECOND)];
const EARLIER_DISAGGREGATED: readonly JsonObject[] = [
  earlierDisaggregated(
    [plugin("pd-profile-handler", { threshold: 100 }), plugin("prefill-header-handler")],
    [],
    FIRST_SINGLE,
  ),
  earlierDisaggregated([plugin("prefill-header-handler")], [plugin("pd-profile-handler", { threshold: 0 })], SECOND),
  earlierDisaggregated(
    [plugin("prefill-header-handler")],
    [plugin(DECIDER), plugin("pd-profile-handler", { deciderPluginName: DECIDER })],
    SECOND,
  ),
  earlierDisaggregated(
    [plugin("disagg-headers-handler")],
    [plugin(DECIDER), plugin("disagg-profile-handler", { deciders: { prefill: DECIDER } })],
    SECOND,
  ),
];

/** Whether a configuration is the default that an earlier release of KServe generated for that topology. */
export function isEarlierDefault(config: unknown, topology: SchedulerTopology): boolean {
  const last = { ...defaultSchedulerConfig(topology), apiVersion: OLD_API_VERSION };
  const early = topology.disaggregated ? EARLIER_DISAGGREGATED : EARLIER_SINGLE;
  return [last, ...(topology.lora ? [] : early)].some((known) => sameJson(known, config));
}

/**
 * The default for pods of an older release of the endpoint picker: what KServe generated when it shipped that release, since
 * it knows neither the newer plugins nor the newer API group. `minor` is that of a release 0.<minor>; 0 where none is named.
 */
export function defaultForRelease(minor: number, topology: SchedulerTopology): JsonObject {
  if (minor >= CURRENT_SINCE) return defaultSchedulerConfig(topology);
  if (!topology.disaggregated) return earlierSingle(SECOND);
  return minor >= DISAGG_SINCE
    ? earlierDisaggregated(
        [plugin("disagg-headers-handler")],
        [plugin(DECIDER), plugin("disagg-profile-handler", { deciders: { prefill: DECIDER } })],
        SECOND,
      )
    : earlierDisaggregated(
        [plugin("prefill-header-handler")],
        [plugin("pd-profile-handler", { threshold: 0 })],
        SECOND,
      );
}
