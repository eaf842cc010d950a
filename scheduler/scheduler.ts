import { systemClock } from "../kube/clock.ts";
import { loadConfig } from "./config/load.ts";
import type { SchedulerConfig } from "./config/types.ts";
import { EndpointStore } from "./datalayer/endpoint-store.ts";
import { type EngineMetrics, parseMetricSpec, VLLM } from "./datalayer/engines.ts";
import { type PoolReference, startPoolWatch } from "./datalayer/pool-watch.ts";
import { type ScrapeOptions, startScraper } from "./datalayer/scraper.ts";
import type { EndpointListener, Plugin } from "./framework/plugin.ts";
import { formatConfigError } from "./framework/problem.ts";
import type { PoolSource, SchedulerOptions } from "./options.ts";
import { createDirector } from "./request/director.ts";
import type { Core, CoreSettings } from "./run.ts";
import { createPipeline, type Pipeline } from "./scheduling/pipeline.ts";

const MIN_INTERVAL_MS = 50;
const RANDOM = { next: () => Math.random() };

/**
 * Wires configuration, pool, metrics and director. Throws for a configuration that cannot be used; the error lists all that is
 * wrong with it.
 */
export function createScheduler(settings: CoreSettings): Core {
  const { options, client, metrics, logger } = settings;
  const store = new EndpointStore();
  const load = (text: string | undefined): SchedulerConfig => checked(text, settings);
  const build = (config: SchedulerConfig): Pipeline =>
    createPipeline({ config, endpoints: store, random: RANDOM, logger, metrics });
  const config = load(settings.configText);
  let pipeline = build(config);
  store.subscribe(toldOf(() => pipeline.plugins));
  const stopScraper = startScraper(scrapeOptions(options, config), {
    store,
    clock: systemClock,
    random: Math.random,
    logger: logger.child({ logger: "scraper" }),
  });
  const pool = startPoolWatch(client, poolReference(options.source), store, logger.child({ logger: "pool" }));
  const director = createDirector({
    store,
    pipeline: () => pipeline,
    logger: logger.child({ logger: "director" }),
    now: () => performance.now(),
    emitScores: options.emitScores,
  });
  return {
    director,
    live: () => true,
    ready: () => pool.known(),
    parserTypes: config.parserTypes,
    pages: new Map<string, () => unknown>([
      ["/debug/plugins", () => pipeline.dump()],
      ["/debug/endpoints", () => endpointsPage(store)],
    ]),
    reload: (text) => void (pipeline = build(load(text))),
    close: async () => {
      stopScraper();
      await pool.close();
    },
  };
}

function checked(text: string | undefined, { logger }: CoreSettings): SchedulerConfig {
  const { config, errors, warnings } = loadConfig(text);
  for (const warning of warnings) logger.warn("configuration", { warning });
  if (config !== undefined) return config;
  throw new Error(
    `EndpointPickerConfig cannot be used:\n${errors.map((error) => `  ${formatConfigError(error)}`).join("\n")}`,
  );
}

/** Passes changes of the fleet on to the plugins in use. */
function toldOf(plugins: () => readonly Plugin[]): EndpointListener {
  return {
    onEndpointAdded: (slot) => plugins().forEach((plugin) => plugin.onEndpointAdded?.(slot)),
    onEndpointRemoved: (slot) => plugins().forEach((plugin) => plugin.onEndpointRemoved?.(slot)),
  };
}

function poolReference(source: PoolSource): PoolReference {
  if (source.kind === "pool") return source;
  throw new Error("--endpoint-selector is not supported; name an InferencePool with --pool-name");
}

/** The configuration's parameters win over the flags. */
function scrapeOptions(options: SchedulerOptions, { dataLayer }: SchedulerConfig): ScrapeOptions {
  const flags = options.modelServerMetrics;
  const { scheme, path, port, insecureSkipVerify } = dataLayer.get("metrics-data-source") ?? {};
  return {
    scheme: (scheme ?? flags.scheme) === "https" ? "https" : "http",
    path: typeof path === "string" ? path : (flags.path ?? "/metrics"),
    port: typeof port === "number" ? port : (flags.port ?? 0),
    insecureSkipVerify:
      typeof insecureSkipVerify === "boolean" ? insecureSkipVerify : (flags.insecureSkipVerify ?? true),
    intervalMs: Math.max(MIN_INTERVAL_MS, options.refreshMetricsMs),
    engine: engineMetrics(flags),
  };
}

function engineMetrics(flags: SchedulerOptions["modelServerMetrics"]): EngineMetrics {
  const chosen = (text: string | undefined, fallback: EngineMetrics["waiting"]): EngineMetrics["waiting"] =>
    text === undefined ? fallback : parseMetricSpec(text);
  return {
    ...VLLM,
    waiting: chosen(flags.waiting, VLLM.waiting),
    running: chosen(flags.running, VLLM.running),
    kvUsage: chosen(flags.kvUsage, VLLM.kvUsage),
    lora: chosen(flags.lora, VLLM.lora),
    cacheInfo: chosen(flags.cacheInfo, VLLM.cacheInfo),
  };
}

function endpointsPage(store: EndpointStore): unknown {
  return Array.from(store.slots(), (slot) => ({
    ...store.metadata(slot),
    waiting: store.waiting[slot],
    running: store.running[slot],
    kvUsage: store.kvUsage[slot],
    updatedAtMs: store.updatedAtMs[slot],
  }));
}
