import { readFileSync, watch } from "node:fs";
import { isIP } from "node:net";
import { dirname } from "node:path";
import type { KubeClient } from "../kube/client.ts";
import { createKubeClient, loadKubeConfig } from "../kube/http-client.ts";
import type { Logger, RootLogger } from "../telemetry/log.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../telemetry/metrics.ts";
import { traceSettings } from "../telemetry/trace-settings.ts";
import { startTracing, type Tracing } from "../telemetry/tracing.ts";
import { type Front, startFront } from "./front.ts";
import type { SchedulerOptions } from "./options.ts";
import { createParsers } from "./parsers/parsers.ts";
import type { Director } from "./request/types.ts";
import { createMetricsAuth } from "./server/metrics-auth.ts";
import type { DebugPage } from "./server/metrics-server.ts";

/** What the deciding side is made from. */
export interface CoreSettings {
  readonly options: SchedulerOptions;
  /** YAML of an EndpointPickerConfig; undefined: the default one. */
  readonly configText: string | undefined;
  readonly client: KubeClient;
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
  /** Parser types that the configuration names; undefined: the default ones. */
  readonly parserTypes: readonly string[] | undefined;
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

/** Writers of a file replace it in several steps. */
const SETTLE_MS = 250;

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
  const client = createKubeClient(await loadKubeConfig());
  const core = await createCore({ options, configText: readConfig(options), client, metrics, logger });
  const tracing = await startTraces(options, logger);
  const front = await startFront({
    host,
    options,
    tracing,
    director: core.director,
    parsers: createParsers(core.parserTypes, (text) => logger.warn(text)),
    state: () => ({ live: core.live(), ready: core.ready() }),
    pages: core.pages,
    // A loopback address is reachable from this machine alone, where reading the page gives nothing away.
    authorize: options.metricsAuth && !isLoopback(host) ? createMetricsAuth(client, logger, Date.now) : undefined,
    metrics,
    logger,
  }).catch(async (error: unknown) => {
    await core.close();
    throw error;
  });
  const stopWatching = watchConfig(options, core, logger);
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

const isLoopback = (host: string): boolean => host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

function readConfig(options: SchedulerOptions): string | undefined {
  if (options.configFile === undefined) return options.configText;
  return readFileSync(options.configFile, "utf8");
}

/** Follows the configuration file; its folder is watched, since a mounted ConfigMap swaps links there. */
function watchConfig(options: SchedulerOptions, core: Core, logger: Logger): () => void {
  const { configFile } = options;
  if (configFile === undefined) return () => undefined;
  let timer: NodeJS.Timeout | undefined;
  let last = readConfig(options);
  const reload = (): void => {
    try {
      const text = readFileSync(configFile, "utf8");
      if (text === last) return;
      core.reload(text);
      last = text;
      logger.info("configuration reloaded", { file: configFile });
    } catch (error) {
      logger.error("cannot use the changed configuration; the last good one stays in use", { file: configFile, error });
    }
  };
  const watcher = watch(dirname(configFile), () => {
    clearTimeout(timer);
    timer = setTimeout(reload, SETTLE_MS).unref();
  });
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}
