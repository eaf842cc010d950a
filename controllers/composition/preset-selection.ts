import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { at, objectAt, textAt } from "../../crds/json.ts";
import type { PresetOptions } from "./types.ts";

/** Presets whose names a service keeps (KServe v0.20 with the tokenizer preset that came after). */
const PINNED: readonly string[] = [
  "config-llm-template",
  "config-llm-decode-template",
  "config-llm-prefill-template",
  "config-llm-worker-data-parallel",
  "config-llm-decode-worker-data-parallel",
  "config-llm-prefill-worker-data-parallel",
  "config-llm-scheduler",
  "config-llm-router-route",
  "config-llm-tracing",
  "config-llm-scheduler-latency-predictor",
  "config-llm-tokenizer",
];

/** Belongs to the installed gateway provider, not to the service: always the current one. */
const ROUTE_PRESET = "config-llm-router-route";

const pinKey = (suffix: string): string => `serving.kserve.io/${suffix}`;

/** What of a service decides its presets, besides the blocks that it has. */
export interface SchedulerNeeds {
  readonly tokenizer: boolean;
  readonly latencyPredictor: boolean;
}

const positive = (value: Json | undefined): boolean => typeof value === "number" && value > 0;

/** Suffix of the preset of a workload with a worker; undefined where its pods are what the user wrote. */
function parallelPreset(workload: JsonObject | undefined, role: string): string | undefined {
  const parallelism = objectAt(workload, "parallelism");
  if (positive(parallelism?.["data"]) || positive(parallelism?.["dataLocal"]))
    return `config-llm-${role}worker-data-parallel`;
  return positive(parallelism?.["pipeline"]) ? `config-llm-${role}worker-pipeline-parallel` : undefined;
}

function workloadPreset(workload: JsonObject | undefined, role: string): string | undefined {
  if (objectAt(workload, "worker") !== undefined) return parallelPreset(workload, role);
  return `config-llm-${role}template`;
}

function routerPresets(shape: JsonObject, needs: SchedulerNeeds): readonly (string | undefined)[] {
  const scheduler = objectAt(shape, "router", "scheduler");
  const route = objectAt(shape, "router", "route");
  const routes = at(route, "http", "refs");
  const ownPool = scheduler !== undefined && textAt(scheduler, "pool", "ref", "name") === undefined;
  return [
    ownPool ? "config-llm-scheduler" : undefined,
    scheduler !== undefined && needs.tokenizer ? "config-llm-tokenizer" : undefined,
    needs.latencyPredictor ? "config-llm-scheduler-latency-predictor" : undefined,
    route !== undefined && !(Array.isArray(routes) && routes.length > 0) ? ROUTE_PRESET : undefined,
  ];
}

function workloadPresets(shape: JsonObject): readonly (string | undefined)[] {
  const prefill = objectAt(shape, "prefill");
  if (prefill === undefined) return [workloadPreset(shape, "")];
  return [workloadPreset(prefill, "prefill-"), workloadPreset(shape, "decode-")];
}

/**
 * Suffixes of the presets for a service of that shape (base refs and own spec merged), in merge order. `{}` counts as set;
 * data parallelism goes before pipeline parallelism (KServe v0.20).
 */
export function selectPresets(shape: JsonObject, needs: SchedulerNeeds): readonly string[] {
  return [
    ...routerPresets(shape, needs),
    objectAt(shape, "tracing") === undefined ? undefined : "config-llm-tracing",
    ...workloadPresets(shape),
  ].filter((suffix) => suffix !== undefined);
}

/** Annotation of a service, `"true"`: it follows the operator to its current presets instead of keeping those it started with. */
export const CURRENT_PRESETS_ANNOTATION = "serving.kserve.io/follow-presets";

/** The annotations of a status without the names of presets. */
export function withoutPins(current: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const pins = new Set(PINNED.map(pinKey));
  return Object.fromEntries(Object.entries(current).filter(([key]) => !pins.has(key)));
}

/**
 * The annotations of a service's status after this pass: with pinning on, each preset name that is not recorded yet is, as the
 * operator names it now. Recorded names and foreign keys stay.
 */
export function pinPresets(
  current: Readonly<Record<string, string>>,
  { prefix, pinned }: PresetOptions,
): Readonly<Record<string, string>> {
  if (!pinned) return current;
  const pins = PINNED.map((suffix) => [pinKey(suffix), current[pinKey(suffix)] || `${prefix}${suffix}`] as const);
  return { ...current, ...Object.fromEntries(pins) };
}

/** Full name of a preset for a service with those status annotations. */
export function presetName(
  suffix: string,
  pins: Readonly<Record<string, string>>,
  { prefix, pinned }: PresetOptions,
): string {
  const pin = pinned && suffix !== ROUTE_PRESET && PINNED.includes(suffix) ? pins[pinKey(suffix)] : undefined;
  return pin ?? `${prefix}${suffix}`;
}
