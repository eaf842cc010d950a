import { hostname } from "node:os";
import { randomUUID } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { DEFAULT_PRESET_PREFIX } from "../../controllers/composition/presets.ts";
import { type Operator, startOperator } from "../../controllers/operator.ts";
import { createOperatorMetrics } from "../../controllers/operator-metrics.ts";
import { countAnswers, createKubeClient, loadKubeConfig } from "../../kube/http-client.ts";
import { createLogger, describeError } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { startHealthServer } from "./health.ts";
import { OPERATOR_USAGE, parseOperatorFlags } from "./options.ts";

// V8 lets a heap grow fourfold before it collects all of it; the operator's caches live long, and memory is what it is short of.
setFlagsFromString("--heap-growing-percent=40");
/** Less than what kubelets and process managers wait before they kill. */
const SHUTDOWN_MS = 14_000;

const { options, errors, help } = parseOperatorFlags(process.argv.slice(2), process.env);
const logger = createLogger({ name: "operator", verbosity: options.verbosity, format: options.logFormat });

if (help) {
  process.stdout.write(OPERATOR_USAGE);
  process.exit(0);
}
if (errors.length > 0) {
  for (const error of errors) logger.error("invalid flag", { error });
  logger.flush();
  process.exit(2);
}

const registry = createMetricsRegistry();
registry.collectProcessMetrics();
let ready = (): boolean => false;
const health = await startHealthServer(options.health, {
  ready: () => ready(),
  render: () => registry.render(),
  profiling: options.profiling,
});

let operator: Operator | undefined;
// From the start: the first process of a container gets no signal that it does not ask for.
const stop = async (signal: NodeJS.Signals): Promise<void> => {
  logger.info("shutting down", { signal });
  const forced = setTimeout(() => {
    logger.error("shutting down takes too long", { limitMs: SHUTDOWN_MS });
    logger.flush();
    process.exit(1);
  }, SHUTDOWN_MS);
  await operator?.close();
  await health.close();
  clearTimeout(forced);
  logger.flush();
  process.exit(0);
};
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop(signal));

try {
  const client = createKubeClient(await loadKubeConfig(), { onAnswer: countAnswers(registry) });
  const started = await startOperator({
    client,
    settings: options.settings,
    presets: { prefix: options.presetPrefix ?? DEFAULT_PRESET_PREFIX, pinned: options.pinned },
    images: options.images,
    protectPresets: options.protectPresets,
    webhook: options.webhook,
    identity: options.leaderElect ? `${hostname()}_${randomUUID()}` : undefined,
    logger,
    metrics: createOperatorMetrics(registry),
  });
  operator = started;
  ready = () => started.ready;
  logger.info("operator started", { namespace: options.settings.systemNamespace, webhooks: options.webhook.port });
} catch (error) {
  logger.error("operator cannot start", { error: describeError(error) });
  logger.flush();
  process.exit(1);
}
