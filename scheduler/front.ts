import { randomUUID } from "node:crypto";
import { totalmem } from "node:os";
import { readCertificate, selfSignedCertificate, watchCertificate } from "../kube/certificates.ts";
import type { Logger } from "../telemetry/log.ts";
import type { MetricsRegistry } from "../telemetry/metrics.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { EXT_PROC_METHOD, createExtProcMethod } from "./extproc/stream.ts";
import { createRequestMetrics } from "./metrics/request-metrics.ts";
import { measuredMethod } from "./metrics/stream-metrics.ts";
import type { SchedulerOptions } from "./options.ts";
import { type Parsers, createParsers } from "./parsers/parsers.ts";
import type { Director } from "./request/types.ts";
import { type HealthState, createHealthMethods, createStaticHealthMethods } from "./server/health.ts";
import { startGrpcServer } from "./server/grpc-server.ts";
import { defaultCapacity } from "./server/memory-budget.ts";
import { type Authorize, type DebugPage, startMetricsServer } from "./server/metrics-server.ts";
import type { GrpcServer, Methods, TlsSettings } from "./server/transport.ts";

/** Streams of ending answers get this long after the drain window. */
const CLOSE_GRACE_MS = 10_000;
/** For health checks, which are a few bytes each. */
const HELD_HEALTH_BYTES = 16 * 1024 * 1024;

/** What the protocol side of the scheduler is started with. */
export interface FrontSettings {
  /** Address of all listeners. */
  readonly host: string;
  readonly options: SchedulerOptions;
  readonly director: Director;
  /** Default: the parsers of a configuration that names none. */
  readonly parsers?: Parsers | undefined;
  /** Whether pool and plugins are ready for requests. */
  readonly state: () => Pick<HealthState, "live" | "ready">;
  readonly pages: ReadonlyMap<string, DebugPage>;
  readonly authorize?: Authorize | undefined;
  readonly tracing?: Tracing | undefined;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
}

/** The running protocol side. */
export interface Front {
  readonly grpcPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  /** Reports itself as not serving, goes on for the drain window, then ends all streams. */
  drain(): Promise<void>;
}

/** Starts the listeners for ext_proc, health and metrics. Rejects where one cannot listen; none is left open then. */
export async function startFront(settings: FrontSettings): Promise<Front> {
  const { host, options, logger } = settings;
  const closers: (() => Promise<void> | void)[] = [];
  let draining = false;
  const health = createHealthMethods(() => ({ ...settings.state(), draining }), logger);
  try {
    const grpc = await startExtProc(settings);
    closers.push(() => grpc.close(CLOSE_GRACE_MS));
    closers.push(followCertificate(options, grpc, logger));
    const checks = await startGrpcServer({
      host,
      port: options.healthPort,
      methods: health,
      maxMessageBytes: options.maxReceiveBytes,
      maxHeldBytes: HELD_HEALTH_BYTES,
    });
    closers.push(() => checks.close(0));
    const pages = await startMetricsServer({ ...settings, port: options.metricsPort });
    closers.push(() => pages.close());
    logger.info("listening", { host, grpc: grpc.port, health: checks.port, metrics: pages.port });
    return {
      grpcPort: grpc.port,
      healthPort: checks.port,
      metricsPort: pages.port,
      drain: async () => {
        draining = true;
        logger.info("draining", { drainTimeoutMs: options.drainTimeoutMs });
        await new Promise((resolve) => setTimeout(resolve, options.drainTimeoutMs));
        for (const close of closers) await close();
      },
    };
  } catch (error) {
    for (const close of closers) await close();
    throw error;
  }
}

async function startExtProc({
  host,
  options,
  director,
  parsers,
  metrics,
  tracing,
  logger,
}: FrontSettings): Promise<GrpcServer> {
  const method = createExtProcMethod({
    director,
    parsers: parsers ?? createParsers(),
    metrics: createRequestMetrics(metrics),
    logger: logger.child({ logger: "extproc" }),
    tracing,
    now: () => performance.now(),
    newId: randomUUID,
    maxBodyBytes: options.maxBodyBytes,
    assumedMode: options.assumedBodyMode,
    ignoreSubset: options.ignoreSubset,
  });
  const measured = options.streamMetrics ? measuredMethod(method, metrics, () => performance.now()) : method;
  const methods: Methods = new Map([
    [EXT_PROC_METHOD, measured],
    ...(options.healthChecking ? createStaticHealthMethods() : []),
  ]);
  const { grpcPort: port, maxReceiveBytes: maxMessageBytes } = options;
  const maxHeldBytes = options.maxHeldBytes ?? defaultCapacity(process.constrainedMemory(), totalmem());
  const server = await startGrpcServer({ host, port, methods, tls: tlsOf(options), maxMessageBytes, maxHeldBytes });
  showMemory(metrics, server, maxHeldBytes);
  return server;
}

/** What clients make the server hold, and how much that may be. */
function showMemory(registry: MetricsRegistry, { memory }: GrpcServer, maxHeldBytes: number): void {
  const gauge = (name: string, help: string) => registry.gauge({ name, help }).labels();
  const held = gauge("endpoint_picker_held_bytes", "Memory of requests that are incomplete or wait.");
  gauge("endpoint_picker_held_bytes_limit", "Most that endpoint_picker_held_bytes may be.").set(maxHeldBytes);
  const refusals = registry
    .counter({ name: "endpoint_picker_held_refusals_total", help: "Requests refused for that limit." })
    .labels();
  let counted = 0;
  registry.onCollect(() => {
    held.set(memory.usedBytes);
    refusals.inc(memory.refusals - counted);
    counted = memory.refusals;
  });
}

function tlsOf(options: SchedulerOptions): TlsSettings | undefined {
  if (!options.secureServing) return undefined;
  const pair = options.certPath === undefined ? selfSignedCertificate(new Date()) : readCertificate(options.certPath);
  return { ...pair, ...(options.tlsMinVersion === undefined ? {} : { minVersion: options.tlsMinVersion }) };
}

function followCertificate(options: SchedulerOptions, server: GrpcServer, logger: Logger): () => void {
  if (!options.secureServing || !options.certReload || options.certPath === undefined) return () => undefined;
  return watchCertificate(
    options.certPath,
    ({ certificate, privateKey }) => server.setCertificate(certificate, privateKey),
    logger,
  );
}
