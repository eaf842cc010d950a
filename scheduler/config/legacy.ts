/** Spellings of former releases, rewritten to today's before the document is read. Each says so in a warning. */
import { isRecord } from "../framework/parameters.ts";
import type { Report } from "../framework/problem.ts";

type Source = Readonly<Record<string, unknown>>;

/** Environment variables by which former releases were configured. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Types that have another name now. */
const RENAMED_TYPES: Readonly<Record<string, string>> = {
  "kv-cache-scorer": "kv-cache-utilization-scorer",
  "predicted-latency-scorer": "latency-scorer",
  "slo-scorer": "latency-scorer",
  "active-request-filter": "utilization-filter",
  "model-server-protocol-metrics": "core-metrics-extractor",
};

const DETECTOR = "utilization-detector";
const THRESHOLDS = ["queueDepthThreshold", "kvCacheUtilThreshold", "metricsStalenessThreshold"];
const THRESHOLD_VARIABLES: Readonly<Record<string, string>> = {
  SD_QUEUE_DEPTH_THRESHOLD: "queueDepthThreshold",
  SD_KV_CACHE_UTIL_THRESHOLD: "kvCacheUtilThreshold",
  SD_METRICS_STALENESS_THRESHOLD: "metricsStalenessThreshold",
};
const GATE_VARIABLES: Readonly<Record<string, string>> = {
  ENABLE_EXPERIMENTAL_FLOW_CONTROL_LAYER: "flowControl",
  ENABLE_EXPERIMENTAL_DATALAYER_V2: "dataLayer",
};

/** A document in today's spelling. */
export interface Modern {
  readonly source: Source;
  /** Parameters of a saturation detector that former releases had without a plugin; undefined: none. */
  readonly detector: Source | undefined;
}

/** Rewrites former spellings. Values of a wrong kind stay as they are, for the schema to refuse. */
export function modernize(source: Source, environment: Environment, report: Report): Modern {
  const steps = [renamedSections, topLevelDetector, renamedTypes, defaultDecider, glued];
  const renamed = steps.reduce((document, step) => step(document, report), source);
  const gated = environmentGates(renamed, environment, report);
  const { source: plain, thresholds } = detectorThresholds(gated, report);
  const detector = thresholds ?? environmentThresholds(environment, report);
  return { source: plain, detector: declaresDetector(plain) ? undefined : detector };
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function renamedSections(source: Source, report: Report): Source {
  const { data, parser, ...rest } = source;
  if (data !== undefined) report.warn("data: now called dataLayer");
  if (parser !== undefined) report.warn("parser: now an item of requestHandler.parsers");
  const handler = rest["requestHandler"];
  const parsers = isRecord(handler) ? listOf(handler["parsers"]) : [];
  return {
    ...rest,
    ...(data === undefined || rest["dataLayer"] !== undefined ? {} : { dataLayer: data }),
    ...(isRecord(parser) && parsers.length === 0 ? { requestHandler: { parsers: [parser] } } : {}),
  };
}

function topLevelDetector(source: Source, report: Report): Source {
  const { saturationDetector, ...rest } = source;
  if (saturationDetector === undefined) return rest;
  report.warn("saturationDetector: now a member of flowControl");
  const section = rest["flowControl"] ?? {};
  if (!isRecord(section) || section["saturationDetector"] !== undefined) return rest;
  return { ...rest, flowControl: { ...section, saturationDetector } };
}

/** Thresholds that the detector's section once held are parameters of the detector now. */
function detectorThresholds(source: Source, report: Report): { source: Source; thresholds: Source | undefined } {
  const section = source["flowControl"];
  const detector = isRecord(section) ? section["saturationDetector"] : undefined;
  if (!isRecord(section) || !isRecord(detector)) return { source, thresholds: undefined };
  const given = Object.entries(detector).filter(([key]) => THRESHOLDS.includes(key));
  if (given.length === 0) return { source, thresholds: undefined };
  for (const [key] of given) report.warn(`saturationDetector.${key}: now a parameter of ${DETECTOR}`);
  const rest = Object.fromEntries(Object.entries(detector).filter(([key]) => !THRESHOLDS.includes(key)));
  return {
    source: { ...source, flowControl: { ...section, saturationDetector: rest } },
    thresholds: Object.fromEntries(given.filter(([key, value]) => isUsable(key, value))),
  };
}

/** The first release took the default for a threshold out of range. */
function isUsable(key: string, value: unknown): boolean {
  if (key === "metricsStalenessThreshold") return !(typeof value === "string" && value.startsWith("-"));
  return typeof value !== "number" || (value > 0 && (key !== "kvCacheUtilThreshold" || value <= 1));
}

const declaresDetector = (source: Source): boolean =>
  listOf(source["plugins"]).some((plugin) => isRecord(plugin) && plugin["type"] === DETECTOR);

function renamedTypes(source: Source, report: Report): Source {
  if (!Array.isArray(source["plugins"])) return source;
  const plugins = source["plugins"].map((plugin: unknown) => {
    const type = isRecord(plugin) ? plugin["type"] : undefined;
    const now = typeof type === "string" && Object.hasOwn(RENAMED_TYPES, type) ? RENAMED_TYPES[type] : undefined;
    if (!isRecord(plugin) || now === undefined) return plugin;
    report.warn(`plugin type ${String(type)} is now called ${now}`);
    return { name: type, ...plugin, type: now };
  });
  return { ...source, plugins };
}

const PD_HANDLER = "pd-profile-handler";
const PD_DECIDER = "prefix-based-pd-decider";

/** The former handler of prefill and decode takes the decider of this name where there is one and nothing else decides. */
function defaultDecider(source: Source): Source {
  if (!Array.isArray(source["plugins"])) return source;
  const written = source["plugins"].filter(isRecord);
  if (!written.some(({ type, name }) => (name ?? type) === PD_DECIDER)) return source;
  const plugins = source["plugins"].map((plugin: unknown) => {
    if (!isRecord(plugin) || plugin["type"] !== PD_HANDLER) return plugin;
    const parameters = plugin["parameters"] ?? {};
    if (!isRecord(parameters) || "deciderPluginName" in parameters || "threshold" in parameters) return plugin;
    return { ...plugin, parameters: { ...parameters, deciderPluginName: PD_DECIDER } };
  });
  return { ...source, plugins };
}

/** `-pluginRef: x` lacks the blank that makes it a list item; published samples have it. */
function glued(source: Source, report: Report): Source {
  if (!Array.isArray(source["schedulingProfiles"])) return source;
  const schedulingProfiles = source["schedulingProfiles"].map((profile: unknown, index) => {
    if (!isRecord(profile) || profile["-pluginRef"] === undefined) return profile;
    const { "-pluginRef": pluginRef, ...rest } = profile;
    report.warn(`schedulingProfiles[${index}]: "-pluginRef" taken as an item of plugins; write "- pluginRef"`);
    return { ...rest, plugins: [...listOf(rest["plugins"]), { pluginRef }] };
  });
  return { ...source, schedulingProfiles };
}

const isTrue = (text: string | undefined): boolean => ["1", "t", "true"].includes((text ?? "").toLowerCase());

function environmentGates(source: Source, environment: Environment, report: Report): Source {
  const gates = Object.entries(GATE_VARIABLES).filter(([variable]) => isTrue(environment[variable]));
  if (gates.length === 0) return source;
  for (const [variable, gate] of gates) report.warn(`environment variable ${variable}: use featureGates: [${gate}]`);
  return { ...source, featureGates: [...listOf(source["featureGates"]), ...gates.map(([, gate]) => gate)] };
}

function environmentThresholds(environment: Environment, report: Report): Source | undefined {
  const thresholds = Object.entries(THRESHOLD_VARIABLES).flatMap(([variable, parameter]) => {
    const value = environment[variable];
    if (value === undefined || value === "") return [];
    report.warn(`environment variable ${variable}: use ${parameter} of ${DETECTOR}`);
    return [[parameter, Number.isNaN(Number(value)) ? value : Number(value)] as const];
  });
  return thresholds.length === 0 ? undefined : Object.fromEntries(thresholds);
}
