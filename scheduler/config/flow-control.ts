import type { FlowControlSection } from "./schema.ts";

/** Limits and policies of one priority band. */
export interface BandConfig {
  readonly priority: number;
  readonly maxBytes: number;
  readonly maxRequests: number;
  /** Plugin names. */
  readonly fairnessPolicy: string;
  readonly orderingPolicy: string;
}

/** Flow control with its defaults filled in. Times in ms; 0 never ends. */
export interface FlowControlConfig {
  /** Limits over all bands; undefined: none. */
  readonly maxBytes: number | undefined;
  readonly maxRequests: number | undefined;
  readonly requestTtlMs: number;
  readonly noEndpointTtlMs: number;
  /** Templates of bands made later; their priority is not used. */
  readonly defaultBand: BandConfig;
  readonly negativeBand: BandConfig;
  /** Bands known from the start, 0 among them, most urgent first. */
  readonly bands: readonly BandConfig[];
  readonly usageLimitPolicy: string;
  readonly eviction: boolean;
}

const DEFAULT_TTL_MS = 60_000;
const USAGE_LIMIT = "static-usage-limit-policy";
const BAND_BYTES = 1_000_000_000;
const BAND_REQUESTS = 5000;

type Band = FlowControlSection["priorityBands"][number];

const DEFAULT_BAND: BandConfig = {
  priority: 0,
  maxBytes: BAND_BYTES,
  maxRequests: BAND_REQUESTS,
  fairnessPolicy: "global-strict-fairness-policy",
  orderingPolicy: "fcfs-ordering-policy",
};

/** Bands are always bounded: 0 is the default. */
function bandOf(band: Band): BandConfig {
  return {
    priority: band.priority,
    maxBytes: band.maxBytes || BAND_BYTES,
    maxRequests: band.maxRequests || BAND_REQUESTS,
    fairnessPolicy: band.fairnessPolicyRef || DEFAULT_BAND.fairnessPolicy,
    orderingPolicy: band.orderingPolicyRef || DEFAULT_BAND.orderingPolicy,
  };
}

const unlimited = (limit: number | undefined): number | undefined => (limit === 0 ? undefined : limit);

/** Fills in defaults: priority 0 always has a band. */
export function resolveFlowControl(section: FlowControlSection | undefined): FlowControlConfig {
  const defaultBand = section?.defaultPriorityBand === undefined ? DEFAULT_BAND : bandOf(section.defaultPriorityBand);
  const negative = section?.defaultNegativePriorityBand;
  const listed = (section?.priorityBands ?? []).map(bandOf);
  const bands = listed.some(({ priority }) => priority === 0) ? listed : [...listed, { ...defaultBand, priority: 0 }];
  return {
    maxBytes: unlimited(section?.maxBytes),
    maxRequests: unlimited(section?.maxRequests),
    requestTtlMs: section?.defaultRequestTTL ?? DEFAULT_TTL_MS,
    noEndpointTtlMs: section?.noEndpointRequestTTL ?? section?.defaultRequestTTL ?? DEFAULT_TTL_MS,
    defaultBand,
    negativeBand: negative === undefined ? defaultBand : bandOf(negative),
    bands: bands.toSorted((a, b) => b.priority - a.priority),
    usageLimitPolicy: section?.usageLimitPolicyPluginRef || USAGE_LIMIT,
    eviction: section?.enableEviction ?? false,
  };
}

/** Settings that only the gate `flowControl` gives an effect. */
export function gatedSettings(section: FlowControlSection): readonly string[] {
  const { saturationDetector: _, priorityBands, enableEviction, ...rest } = section;
  const set = Object.entries(rest).filter(([, value]) => value !== undefined && value !== "");
  return [
    ...set.map(([key]) => key),
    ...(priorityBands.length > 0 ? ["priorityBands"] : []),
    ...(enableEviction ? ["enableEviction"] : []),
  ];
}
