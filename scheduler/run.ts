import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { KubeClient } from "../kube/client.ts";
import { createKubeClient, loadKubeConfig } from "../kube/http-client.ts";
import type { Logger, RootLogger } from "../telemetry/log.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../telemetry/metrics.ts";
import { traceSettings } from "../telemetry/trace-settings.ts";
import { startTracing, type Tracing } from "../telemetry/tracing.ts";
import { watchFile } from "./config/file-watch.ts";
import type { PluginRegistry } from "./framework/plugin.ts";
import { type Front, startFront } from "./front.ts";
import type { SchedulerOptions } from "./options.ts";
import type { Parsers } from "./parsers/parsers.ts";
import { withModules } from "./plugins/modules.ts";
import { PLUGINS } from "./plugins/registry.ts";
import type { Director } from "./request/types.ts";
import { LOG_LEVEL_PATH, logLevelPage } from "./server/log-level-page.ts";
import { createMetricsAuth } from "./server/metrics-auth.ts";
import type { Authorize, DebugPage } from "./server/metrics-server.ts";
import { profilePages } from "./server/profile-pages.ts";

/** What the deciding side is made from. */
export interface CoreSettings {
  readonly options: SchedulerOptions;
  /** YAML of an EndpointPickerConfig; undefined: the default one. */
  readonly configText: string | undefined;
  /** Plugin types that a configuration may use. */
  readonly registry: PluginRegistry;
  /** Connects to the cluster, once; rejects without a usable kubeconfig. Not called where no cluster is needed. */
  readonly connect: () => Promise<KubeClient>;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
}

/** The deciding side, as the process runs it. */
export interface Core {
  readonly director: Director;
  /** Whether the pool is known. */
  live(): boolean;
  /** Whether plugins can decide, too. */
  ready(): boolean;
  /** Readers of request bodies, as the configuration in effect names them. */
  readonly parsers: Parsers;
  /** Debug pages by path. */
  readonly pages: ReadonlyMap<string, DebugPage>;
  /** Takes a changed configuration over. Throws for a bad one, and goes on with the old. */
  reload(configText: string): void;
  close(): Promise<void> | void;
}

/** A running scheduler. */
export interface RunningScheduler {
  readonly front: Front;
  /** Drains, then stops. */
  stop(): Promise<void>;
}

/**
 * Starts listeners and deciding side on `host`. Rejects for a configuration that cannot be used, an unreachable kubeconfig, or
 * an address in use.
 */
export async function runScheduler(
  options: SchedulerOptions,
  host: string,
  createCore: (settings: CoreSettings) => Core | Promise<Core>,
  logger: RootLogger,
): Promise<RunningScheduler> {
  const metrics = createMetricsRegistry();
  metrics.collectProcessMetrics();
  let client: KubeClient | undefined;
  const connect = async (): Promise<KubeClient> => (client ??= createKubeClient(await loadKubeConfig()));
  const registry = await withModules(PLUGINS, options.pluginModules);
  const core = await createCore({ options, configText: readConfig(options), registry, connect, metrics, logger });
  const tracing = await startTraces(options, logger);
  const front = await startFront({
    host,
    options,
    tracing,
    director: core.director,
    parsers: core.parsers,
    state: () => ({ live: core.live(), ready: core.ready() }),
    pages: new Map([
      ...core.pages,
      [LOG_LEVEL_PATH, logLevelPage(logger)],
      ...(options.profiling ? profilePages() : []),
    ]),
    authorize: options.metricsAuth ? authorizer(host, client, logger) : undefined,
    metrics,
    logger,
  }).catch(async (error: unknown) => {
    await core.close();
    throw error;
  });
  const { configFile } = options;
  const stopWatching =
    configFile === undefined ? () => undefined : watchFile(configFile, (text) => core.reload(text), logger);
  return {
    front,
    stop: async () => {
      stopWatching();
      await front.drain();
      await core.close();
      await tracing?.close().catch((error: unknown) => logger.error("cannot send the last spans", { error }));
    },
  };
}

async function startTraces(options: SchedulerOptions, logger: Logger): Promise<Tracing | undefined> {
  const settings = options.tracing ? traceSettings(process.env, (text) => logger.warn(text)) : undefined;
  if (settings === undefined) return undefined;
  logger.info("tracing", { ...settings });
  return await startTracing(settings);
}

/** A loopback address is reachable from this machine alone; and without a cluster there is nobody to ask. */
function authorizer(host: string, client: KubeClient | undefined, logger: Logger): Authorize | undefined {
  return client === undefined || isLoopback(host) ? undefined : createMetricsAuth(client, logger, Date.now);
}

const isLoopback = (host: string): boolean => host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

function readConfig(options: SchedulerOptions): string | undefined {
  if (options.configFile === undefined) return options.configText;
  return readFileSync(options.configFile, "utf8");
}
