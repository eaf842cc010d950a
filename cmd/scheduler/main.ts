import { parseSchedulerFlags, schedulerUsage } from "../../scheduler/options.ts";
import { runScheduler } from "../../scheduler/run.ts";
import { createScheduler } from "../../scheduler/scheduler.ts";
import { createLogger } from "../../telemetry/log.ts";
import { releaseStartMemory } from "../../telemetry/start-memory.ts";

/** Time after which what only the start needed has been read, ms. */
const SETTLED_MS = 2000;

const { options, warnings, errors, help } = parseSchedulerFlags(process.argv.slice(2), process.env);
const logger = createLogger({ name: "scheduler", verbosity: options.verbosity, format: options.logFormat });

if (help) {
  process.stdout.write(schedulerUsage());
  process.exit(0);
}
for (const warning of warnings) logger.warn(warning);
if (errors.length > 0) {
  for (const error of errors) logger.error("invalid flag", { error });
  logger.flush();
  process.exit(2);
}

const host = process.env.LLMISVC_BIND_ADDRESS ?? "::";
const running = await runScheduler(options, host, createScheduler, logger).catch((error: unknown) => {
  logger.error("scheduler cannot start", { error });
  logger.flush();
  process.exit(1);
});

releaseStartMemory();
// The pool and the first metric pages are read after that.
setTimeout(releaseStartMemory, SETTLED_MS).unref();

async function stop(): Promise<void> {
  logger.info("shutting down");
  await running.stop();
  logger.flush();
  process.exit(0);
}

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop());
