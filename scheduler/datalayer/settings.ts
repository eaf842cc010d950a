import { isRecord, parseDurationMs } from "../framework/parameters.ts";
import {
  type CustomMetric,
  ENGINE_LABELS,
  ENGINES,
  type EngineMetrics,
  type EngineTable,
  type MetricNames,
  VLLM,
} from "./engines.ts";
import type { ModelServerMetricsFlags } from "../options.ts";
import { metricSpec } from "../framework/metric-spec.ts";
import type { PageSettings } from "./page-client.ts";
import type { ScrapePace } from "./scraper.ts";

type Raw = Readonly<Record<string, unknown>>;

/** All that says how metrics are read. */
export interface DataLayerInput {
  readonly flags: ModelServerMetricsFlags;
  readonly refreshMs: number;
  /** Age from which values are stale, in ms. */
  readonly stalenessMs: number;
  /** Parameters of the metrics source and of the extractor; absent: not configured. They win over flags. */
  readonly source: Raw | undefined;
  readonly extractor: Raw | undefined;
  /** Parameters of the extractor of other schedulers' pages, which then takes the place of all engines. */
  readonly multicluster: Raw | undefined;
  /** Value of SSL_CERT_DIR. */
  readonly certificateFolders: string | undefined;
}

/** How metrics are read. */
export interface DataLayerSettings {
  readonly pages: PageSettings;
  readonly engines: EngineTable;
  readonly pace: ScrapePace;
}

const MIN_INTERVAL_MS = 50;
const MAX_IDLE_INTERVAL_MS = 1000;

/** Puts flags and parameters together. Throws for a metric spec that cannot be read. */
export function dataLayerSettings(input: DataLayerInput): DataLayerSettings {
  return { pages: pageSettings(input), engines: engineTable(input), pace: pace(input) };
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

function pageSettings({ flags, source = {}, certificateFolders }: DataLayerInput): PageSettings {
  const { scheme, path, port, insecureSkipVerify, caCertPath, clientCertPath, clientKeyPath, bearerTokenFile } = source;
  return {
    scheme: (textOf(scheme) ?? flags.scheme) === "https" ? "https" : "http",
    path: textOf(path) ?? flags.path ?? "/metrics",
    port: typeof port === "number" ? port : 0,
    insecureSkipVerify:
      typeof insecureSkipVerify === "boolean" ? insecureSkipVerify : (flags.insecureSkipVerify ?? true),
    caFile: textOf(caCertPath),
    certificateFile: textOf(clientCertPath),
    keyFile: textOf(clientKeyPath),
    caFolders: (certificateFolders ?? "").split(":").filter((folder) => folder !== ""),
    tokenFile: textOf(bearerTokenFile),
  };
}

/** An idle pool is read so often that its values never turn stale. */
function pace({ refreshMs, stalenessMs, source = {} }: DataLayerInput): ScrapePace {
  const own = typeof source["interval"] === "string" ? parseDurationMs(source["interval"]) : source["interval"];
  const tick = Math.max(MIN_INTERVAL_MS, refreshMs);
  const intervalMs = typeof own === "number" && own > 0 ? Math.max(1, Math.round(own / tick)) * tick : tick;
  return { intervalMs, idleIntervalMs: Math.max(intervalMs, Math.min(MAX_IDLE_INTERVAL_MS, stalenessMs / 2)) };
}

/** Attributes by which plugins know the load of other clusters. */
const CLUSTER_QUEUE = "llm-d.ai/multicluster-queue-size";
const CLUSTER_KV_USAGE = "llm-d.ai/multicluster-kv-cache-utilization";

/** An endpoint that is the scheduler of another cluster: its pool's means. */
function clusterTable(parameters: Raw): EngineTable {
  const metric = (key: string, fallback: string) => metricSpec(textOf(parameters[key]) ?? fallback);
  const queue = metric("queueSizeMetric", "llm_d_epp_average_queue_size");
  const kvUsage = metric("kvCacheUtilizationMetric", "llm_d_epp_average_kv_cache_utilization");
  const custom = [
    { attribute: CLUSTER_QUEUE, metric: queue },
    { attribute: CLUSTER_KV_USAGE, metric: kvUsage },
  ];
  return {
    engines: new Map(),
    labels: [],
    fallback: { ...UNKNOWN_ENGINE, waiting: [queue], kvUsage: [kvUsage], custom },
  };
}

function engineTable({ flags, extractor = {}, multicluster }: DataLayerInput): EngineTable {
  if (multicluster !== undefined) return clusterTable(multicluster);
  const engines = new Map(ENGINES);
  engines.set("vllm", withFlags(VLLM, flags));
  const configured = Array.isArray(extractor["engineConfigs"]) ? extractor["engineConfigs"] : [];
  for (const config of configured.filter(isRecord)) {
    const name = textOf(config["name"]);
    if (name !== undefined) engines.set(name, configuredEngine(engines.get(name), config));
  }
  const label = textOf(extractor["engineLabelKey"]);
  const fallback = engines.get(textOf(extractor["defaultEngine"]) ?? "vllm") ?? VLLM;
  return { engines, labels: label === undefined ? ENGINE_LABELS : [...new Set([label, ...ENGINE_LABELS])], fallback };
}

/** An absent text leaves the default, an empty one disables the metric. */
const chosen = (text: unknown, fallback: MetricNames): MetricNames =>
  typeof text !== "string" ? fallback : text.trim() === "" ? [] : [metricSpec(text)];

function withFlags(base: EngineMetrics, flags: ModelServerMetricsFlags): EngineMetrics {
  return {
    ...base,
    waiting: chosen(flags.waiting, base.waiting),
    running: chosen(flags.running, base.running),
    kvUsage: chosen(flags.kvUsage, base.kvUsage),
    lora: chosen(flags.lora, base.lora),
    cacheInfo: chosen(flags.cacheInfo, base.cacheInfo),
  };
}

const UNKNOWN_ENGINE: EngineMetrics = {
  ...VLLM,
  waiting: [],
  running: [],
  kvUsage: [],
  lora: [],
  cacheInfo: [],
};

function configuredEngine(base: EngineMetrics = UNKNOWN_ENGINE, config: Raw): EngineMetrics {
  return {
    waiting: chosen(config["queuedRequestsSpec"], base.waiting),
    running: chosen(config["runningRequestsSpec"], base.running),
    kvUsage: chosen(config["kvUsageSpec"], base.kvUsage),
    lora: chosen(config["loraSpec"], base.lora),
    cacheInfo: chosen(config["cacheInfoSpec"], base.cacheInfo),
    blockSizeLabel: textOf(config["cacheBlockSizeLabelName"]) ?? base.blockSizeLabel,
    numBlocksLabel: textOf(config["cacheNumBlocksLabelName"]) ?? base.numBlocksLabel,
    blockSize: chosen(config["cacheBlockSizeSpec"], base.blockSize),
    numBlocks: chosen(config["cacheNumBlocksSpec"], base.numBlocks),
    custom: [...base.custom, ...customMetrics(config["customMetrics"])],
  };
}

function customMetrics(value: unknown): readonly CustomMetric[] {
  return (Array.isArray(value) ? value : []).filter(isRecord).flatMap((item) => {
    const [attribute, metric] = [textOf(item["attributeKey"]), textOf(item["metricSpec"])];
    return attribute === undefined || metric === undefined ? [] : [{ attribute, metric: metricSpec(metric) }];
  });
}
