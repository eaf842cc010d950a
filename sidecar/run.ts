import { randomUUID } from "node:crypto";
import type { RequestListener } from "node:http";
import { readCertificate, selfSignedCertificate, watchCertificate } from "../kube/certificates.ts";
import { createKubeClient, loadKubeConfig } from "../kube/http-client.ts";
import type { KubeClient } from "../kube/client.ts";
import type { CertificatePair } from "../kube/x509.ts";
import type { Logger } from "../telemetry/log.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../telemetry/metrics.ts";
import { traceSettings } from "../telemetry/trace-settings.ts";
import { startTracing, type Tracing } from "../telemetry/tracing.ts";
import type { Environment, SidecarOptions, Stage } from "./config/options.ts";
import { createConnector } from "./connectors/connectors.ts";
import { sendText } from "./http/errors.ts";
import { type Listener, startListener } from "./http/listener.ts";
import { followTrust, type Trust } from "./http/trust.ts";
import { type TlsClient, Upstreams } from "./http/upstream.ts";
import { createSidecarMetrics } from "./metrics.ts";
import { type AllowList, watchPool } from "./pool/pool-watch.ts";
import { createProxy, type ProxyParts } from "./proxy.ts";

/** What the process is started with. */
export interface SidecarSettings {
  readonly options: SidecarOptions;
  readonly env: Environment;
  /** Address of all listeners. */
  readonly host: string;
  /** Where the model server is. */
  readonly engineHost: string;
  readonly logger: Logger;
  /** Connects to the cluster; not called where no pool is followed. Default: as the pod's ServiceAccount. */
  readonly connect?: () => Promise<Pick<KubeClient, "list" | "watch">>;
}

/** A running sidecar. */
export interface RunningSidecar {
  /** One for each data-parallel rank. */
  readonly ports: readonly number[];
  /** Undefined where there is none. */
  readonly metricsPort: number | undefined;
  /** Stops accepting, lets running answers finish for `graceMs`, then ends. */
  stop(graceMs: number): Promise<void>;
}

const DEFAULT_SERVICE = "routing-sidecar";

/** Starts everything. Rejects for a certificate that cannot be read, an unusable kubeconfig, or an address in use. */
export async function runSidecar(settings: SidecarSettings): Promise<RunningSidecar> {
  const { options, env, logger } = settings;
  const closers: (() => unknown)[] = [];
  const metrics = createMetricsRegistry();
  if (options.metricsPort !== 0) metrics.collectProcessMetrics();
  const upstreams = new Upstreams(options.maxIdlePerHost);
  closers.push(() => upstreams.close());
  try {
    const trust = options.tlsStages.size === 0 ? undefined : followTrust(env, logger);
    closers.push(() => trust?.close());
    const allowList = await followPool(settings);
    closers.push(() => allowList?.close());
    const tracing = await startTraces(settings);
    closers.push(() =>
      tracing?.close().catch((error: unknown) => logger.error("cannot send the last spans", { error })),
    );
    const parts: ProxyParts = {
      options,
      upstreams,
      connector: createConnector(options, upstreams),
      engineHost: settings.engineHost,
      tls: {
        engine: tlsClient("decoder", options, trust),
        prefill: tlsClient("prefiller", options, trust),
        encode: tlsClient("encoder", options, trust),
      },
      allows: allowList?.allows ?? (() => true),
      tracing,
      metrics: createSidecarMetrics(metrics),
      logger,
      random: Math.random,
      newId: randomUUID,
    };
    const listeners = await listenAll(settings, parts, closers);
    const page = await serveMetrics(settings, metrics);
    closers.push(() => page?.close(0));
    return {
      ports: listeners.map(({ port }) => port),
      metricsPort: page?.port,
      stop: async (graceMs) => {
        await Promise.all(listeners.map((listener) => listener.close(graceMs)));
        await closeAll(closers);
      },
    };
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

async function closeAll(closers: (() => unknown)[]): Promise<void> {
  for (const close of closers.splice(0).toReversed()) await close();
}

/** Serves each rank; port 0 takes free ones. */
async function listenAll(
  { options, host, logger }: SidecarSettings,
  parts: ProxyParts,
  closers: (() => unknown)[],
): Promise<Listener[]> {
  const { port, dataParallelSize, certPath, secureProxy } = options;
  const certificate = secureProxy ? ownCertificate(certPath) : undefined;
  const listeners: Listener[] = [];
  for (let rank = 0; rank < dataParallelSize; rank++) {
    const listener = await startListener(
      { host, port: port === 0 ? 0 : port + rank },
      certificate,
      createProxy(parts, rank),
    );
    listeners.push(listener);
    closers.push(() => listener.close(0));
    logger.info("listening", { host, port: listener.port, tls: secureProxy, engine: options.modelServerPort + rank });
  }
  if (secureProxy && certPath !== undefined) {
    const use = (pair: CertificatePair): void => listeners.forEach((listener) => listener.setCertificate(pair));
    closers.push(watchCertificate(certPath, use, logger));
  }
  return listeners;
}

function ownCertificate(folder: string | undefined): CertificatePair {
  return folder === undefined ? selfSignedCertificate(new Date()) : readCertificate(folder);
}

function tlsClient(stage: Stage, options: SidecarOptions, trust: Trust | undefined): TlsClient | undefined {
  if (trust === undefined || !options.tlsStages.has(stage)) return undefined;
  return { verify: !options.unverifiedStages.has(stage), context: trust.context };
}

async function followPool(settings: SidecarSettings): Promise<AllowList | undefined> {
  const { options, logger } = settings;
  const { pool } = options;
  if (!options.ssrfProtection || pool === undefined) return undefined;
  const connect = settings.connect ?? (async () => createKubeClient(await loadKubeConfig()));
  return watchPool({ client: await connect(), pool, logger: logger.child({ logger: "pool" }) });
}

async function startTraces({ options, env, logger }: SidecarSettings): Promise<Tracing | undefined> {
  if (!options.tracing) return undefined;
  const named = { ...env, OTEL_SERVICE_NAME: env["OTEL_SERVICE_NAME"] || DEFAULT_SERVICE };
  const settings = traceSettings(named, (text) => logger.warn(text));
  return settings === undefined ? undefined : await startTracing(settings);
}

async function serveMetrics(
  { options, host, logger }: SidecarSettings,
  metrics: MetricsRegistry,
): Promise<Listener | undefined> {
  if (options.metricsPort === 0) return undefined;
  const page: RequestListener = (request, response) => {
    if (request.url !== "/metrics") return sendText(response, 404, "not found\n", "text/plain");
    metrics.render().then(
      (text) => sendText(response, 200, text, metrics.contentType),
      (error: unknown) => {
        logger.error("cannot show metrics", { error });
        sendText(response, 500, "internal error\n", "text/plain");
      },
    );
  };
  return await startListener({ host, port: options.metricsPort }, undefined, page);
}
