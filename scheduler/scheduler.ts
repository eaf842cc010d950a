import { isDeepStrictEqual } from "node:util";
import { systemClock } from "../kube/clock.ts";
import { LiveConfig } from "./config/live-config.ts";
import type { SchedulerConfig } from "./config/types.ts";
import { Activity } from "./datalayer/activity.ts";
import type { Discovery } from "./datalayer/discovery.ts";
import { EndpointStore } from "./datalayer/endpoint-store.ts";
import { endpointsPage, startFleetReports } from "./datalayer/fleet-report.ts";
import { fileSourceOf, startFileDiscovery } from "./datalayer/file-discovery.ts";
import { createPageClient } from "./datalayer/page-client.ts";
import { type PolicyWatch, startPolicyWatch } from "./datalayer/policy-watch.ts";
import { startPoolWatch, startSelectorWatch } from "./datalayer/pool-watch.ts";
import { createScrapeMetrics } from "./datalayer/scrape-metrics.ts";
import { startScraper } from "./datalayer/scraper.ts";
import { type DataLayerSettings, dataLayerSettings } from "./datalayer/settings.ts";
import { FlowController, type FlowSetup } from "./flowcontrol/controller.ts";
import { createFlowMetrics } from "./flowcontrol/flow-metrics.ts";
import { createSaturation } from "./flowcontrol/saturation.ts";
import { registerUsageMetrics } from "./flowcontrol/usage-metrics.ts";
import { flowSetupOf } from "./flowcontrol/setup.ts";
import type { Random } from "./framework/cycle.ts";
import type { EndpointListener, Plugin } from "./framework/plugin.ts";
import { SeededRandom } from "./framework/random.ts";
import { registerFleetMetrics } from "./metrics/fleet-metrics.ts";
import { DecisionLog } from "./request/decision-log.ts";
import { labelBudgetsOf } from "./metrics/label-budget.ts";
import { schedulingMetricsOf } from "./metrics/scheduling-metrics.ts";
import { createDirector } from "./request/director.ts";
import { NO_POLICIES } from "./request/policies.ts";
import { NO_REWRITES } from "./request/rewrite.ts";
import type { SchedulerOptions } from "./options.ts";
import type { Core, CoreSettings } from "./run.ts";
import { createParsers, type Parsers } from "./parsers/parsers.ts";
import { createPipeline, type Pipeline } from "./scheduling/pipeline.ts";
import { reusing } from "./scheduling/plugin-metrics.ts";
import type { DebugPage } from "./server/metrics-server.ts";

const SEEDS = 2 ** 32;
/** Where another cluster's scheduler is read unless its parameters say otherwise. */
const CLUSTER_SOURCE = { scheme: "https", insecureSkipVerify: false };
const DECISIONS_PAGE = "the newest decisions (?limit=); how one of them came about (?id=REQUEST_ID)";
const PLUGINS_PAGE = "state of each plugin with its type and the time";
/** Name of a pool that nothing names. */
const DEFAULT_POOL_NAME = "epp";

/**
 * Wires configuration, pool, metrics and director. Throws for a configuration that cannot be used; the error lists all that is
 * wrong with it.
 */
export async function createScheduler(settings: CoreSettings): Promise<Core> {
  const { options, metrics, logger } = settings;
  const store = new EndpointStore();
  const activity = new Activity();
  const now = (): number => performance.now();
  const random = new SeededRandom(Math.floor(Math.random() * SEEDS));
  const live = new LiveConfig({
    load: {
      registry: settings.registry,
      environment: process.env,
      allowExperimental: options.allowExperimental,
    },
    logger,
    metrics,
    now: Date.now,
  });
  let running: Running | undefined;
  const current = (): Running => {
    if (running === undefined) throw new Error("no configuration is in effect");
    return running;
  };
  const take = (config: SchedulerConfig): void => {
    running = runConfig(config, running, settings, random, store, activity);
  };
  live.load(settings.configText, take);
  store.subscribe(toldOf(() => current().pipeline.plugins));
  const pool = await startDiscovery(settings, current().config, store);
  const { stalenessMs } = options;
  registerFleetMetrics({ registry: metrics, store, poolName: poolNameOf(settings), stalenessMs, now });
  const stopReports = startFleetReports({
    store,
    pool,
    stalenessMs,
    now,
    logger,
    everyMs: options.refreshPoolMetricsMs,
  });
  const policies = current().config.discovery === undefined ? await startPolicies(settings) : undefined;
  const decisions = new DecisionLog({
    logger: logger.child({ logger: "director" }),
    staleAfterMs: stalenessMs,
    sampling: options.decisionSampling,
    random: new SeededRandom(Math.floor(Math.random() * SEEDS)),
    originMs: performance.timeOrigin,
  });
  labelBudgetsOf(metrics).models.alwaysAdmit(() => policies?.rewrites().models ?? NO_REWRITES.models);
  const pipeline = (): Pipeline => current().pipeline;
  const flow = createFlowController(settings, store, pipeline, () => current().flow);
  const director = createDirector({
    store,
    pipeline,
    admission: flow,
    metrics: schedulingMetricsOf(metrics),
    policies: policies ?? NO_POLICIES,
    logger: logger.child({ logger: "director" }),
    now,
    onRequest: (nowMs) => activity.touch(nowMs),
    decisions,
    emitScores: options.emitScores,
  });
  return {
    director,
    live: () => true,
    ready: () => pool.known(),
    parsers: {
      claims: (path) => current().parsers.claims(path),
      parse: (path, body) => current().parsers.parse(path, body),
    },
    pages: new Map<string, DebugPage>([
      ["/config", { about: "configuration in effect, and how its last reading ended", render: () => live.page() }],
      ["/debug/config", { about: "the same", render: () => live.page() }],
      ["/debug/decisions", { about: DECISIONS_PAGE, render: (query) => decisions.page(query) }],
      ["/debug/endpoints", { about: "endpoints with their metrics", render: () => endpointsPage(store, now()) }],
      ["/debug/plugins", { about: "state of each plugin", render: () => current().pipeline.dump() }],
      ["/debug/plugins/state", { about: PLUGINS_PAGE, render: () => pluginStates(current(), new Date()) }],
    ]),
    reload: (text) => {
      live.load(text, take);
      flow.wake();
    },
    close: async () => {
      stopReports();
      flow.close();
      current().stopScraper();
      await Promise.all([pool.close(), policies?.close()]);
    },
  };
}

/** What the configuration in effect has made. */
interface Running {
  readonly config: SchedulerConfig;
  readonly pipeline: Pipeline;
  readonly parsers: Parsers;
  /** Undefined where requests do not wait in queues. */
  readonly flow: FlowSetup | undefined;
  stopScraper(): void;
}

/** Queues in front of the decision, for configurations that have them. */
function createFlowController(
  settings: CoreSettings,
  store: EndpointStore,
  pipeline: () => Pipeline,
  setup: () => FlowSetup | undefined,
): FlowController {
  const metrics = createFlowMetrics(settings.metrics, poolNameOf(settings));
  const measure = createSaturation(store, pipeline, systemClock.now);
  const saturation = (): number => {
    const stages = measure();
    metrics.saturation(stages);
    return stages.effective;
  };
  const isEmpty = (): boolean => store.size === 0;
  const controller = new FlowController({ setup, saturation, isEmpty, metrics, clock: systemClock });
  registerUsageMetrics(settings.metrics, poolNameOf(settings), () => controller.usage());
  return controller;
}

/** Makes what a configuration describes. Scraping goes on as it is unless its settings have changed. */
function runConfig(
  config: SchedulerConfig,
  before: Running | undefined,
  settings: CoreSettings,
  random: Random,
  store: EndpointStore,
  activity: Activity,
): Running {
  const { logger, metrics } = settings;
  const environment = process.env;
  const kept = before?.pipeline.kept;
  const dataLayer = dataLayerOf(settings.options, config);
  const metricsIntervalMs = dataLayer.pace.intervalMs;
  const options = { config, endpoints: store, random, logger, metrics, environment, metricsIntervalMs };
  const pipeline = createPipeline(kept === undefined ? options : { ...options, kept });
  const parsers = createParsers(config.parserTypes, (text) => logger.warn(text));
  const flow = flowSetupOf(config, pipeline);
  if (before !== undefined && isDeepStrictEqual(sourcesOf(before.config), sourcesOf(config)))
    return { ...before, config, pipeline, parsers, flow };
  const stopScraper = readsMetrics(config)
    ? startScraping({ ...settings, metrics: reusing(metrics) }, dataLayer, store, activity)
    : () => undefined;
  before?.stopScraper();
  return { config, pipeline, parsers, flow, stopScraper };
}

const METRICS_SOURCES = ["metrics-data-source", "multicluster-metrics-data-source"];

/** Whether endpoints' metrics are read: `dataLayer.injectDefaults: false` without such a source turns it off. */
const readsMetrics = ({ dataSources, plugins }: SchedulerConfig): boolean =>
  dataSources.some(({ source }) => METRICS_SOURCES.includes(plugins.find(({ name }) => name === source)?.type ?? ""));

/** All that the scraper is made from. */
const sourcesOf = (config: SchedulerConfig) => [config.dataLayer, readsMetrics(config)];

const STATELESS = "plugin does not support state collection";

/** State of all plugins in the layout of the llm-d endpoint picker. */
function pluginStates({ config: { plugins }, pipeline }: Running, now: Date): unknown {
  const states = pipeline.dump();
  const entries = plugins.map(({ name, type }) => {
    const state = states[name] ?? null;
    return [name, { name, type, ...(state === null ? { message: STATELESS } : { state }) }] as const;
  });
  return { timestamp: now.toISOString(), plugins: Object.fromEntries(entries) };
}

/** Passes changes of the fleet on to the plugins in use. */
function toldOf(plugins: () => readonly Plugin[]): EndpointListener {
  return {
    onEndpointAdded: (slot) => plugins().forEach((plugin) => plugin.onEndpointAdded?.(slot)),
    onEndpointRemoved: (slot) => plugins().forEach((plugin) => plugin.onEndpointRemoved?.(slot)),
  };
}

/** Endpoints come from a file where the configuration says so, else from the cluster. */
async function startDiscovery(
  { options, connect, logger }: CoreSettings,
  { discovery, plugins }: SchedulerConfig,
  store: EndpointStore,
): Promise<Discovery> {
  const { source, modelServerMetrics } = options;
  const log = logger.child({ logger: "pool" });
  const plugin = plugins.find(({ name }) => name === discovery);
  if (plugin !== undefined) return startFileDiscovery(fileSourceOf(plugin), store, log);
  const client = await connect();
  const metricsPort = modelServerMetrics.port ?? 0;
  const watch = { client, namespace: source.namespace, store, metricsPort, logger: log };
  return source.kind === "pool"
    ? startPoolWatch(watch, source)
    : startSelectorWatch(watch, source.selector, source.targetPorts);
}

/** Objectives and rewrites refer to a pool: without one there are none. */
async function startPolicies({ options, connect, logger }: CoreSettings): Promise<PolicyWatch | undefined> {
  const { source } = options;
  if (source.kind !== "pool") return undefined;
  return startPolicyWatch(await connect(), source, logger.child({ logger: "policy" }));
}

/** A fleet that is selected by labels is called after the Deployment of this process. */
function poolNameOf({ options }: CoreSettings): string {
  if (options.source.kind === "pool") return options.source.name;
  return /^(.+)-[a-z0-9]+-[a-z0-9]+$/.exec(process.env.POD_NAME ?? "")?.[1] ?? DEFAULT_POOL_NAME;
}

/** How metrics are read, by flags and configuration. */
function dataLayerOf(options: SchedulerOptions, { dataLayer }: SchedulerConfig): DataLayerSettings {
  const cluster = dataLayer.get("multicluster-metrics-data-source");
  return dataLayerSettings({
    flags: options.modelServerMetrics,
    refreshMs: options.refreshMetricsMs,
    stalenessMs: options.stalenessMs,
    source: cluster === undefined ? dataLayer.get("metrics-data-source") : { ...CLUSTER_SOURCE, ...cluster },
    extractor: dataLayer.get("core-metrics-extractor"),
    multicluster: dataLayer.get("multicluster-metrics-extractor"),
    certificateFolders: process.env.SSL_CERT_DIR,
  });
}

function startScraping(
  { metrics, logger }: CoreSettings,
  { pages, engines, pace }: DataLayerSettings,
  store: EndpointStore,
  activity: Activity,
): () => void {
  logger.info("Data layer: ENABLED", { scheme: pages.scheme, path: pages.path, ...pace });
  for (const engine of engines.engines.keys()) logger.info("Registered engine mapping", { engine });
  return startScraper({
    store,
    pages: createPageClient(pages, () => performance.now()),
    engines,
    pace,
    activity,
    metrics: createScrapeMetrics(metrics),
    clock: systemClock,
    logger: logger.child({ logger: "scraper" }),
  });
}
