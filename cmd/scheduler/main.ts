import { parseSchedulerFlags, schedulerUsage } from "../../scheduler/options.ts";
import { runScheduler } from "../../scheduler/run.ts";
import { createScheduler } from "../../scheduler/scheduler.ts";
import { createLogger } from "../../telemetry/log.ts";
import { releaseStartMemory } from "../../telemetry/start-memory.ts";
import { checkFlags, failStart, stopOnSignal } from "../process.ts";

/** Time after which what only the start needed has been read, ms. */
const SETTLED_MS = 2000;

const { options, warnings, errors, help } = parseSchedulerFlags(process.argv.slice(2), process.env);
const logger = createLogger({ name: "scheduler", verbosity: options.verbosity, format: options.logFormat });

if (help) {
  process.stdout.write(schedulerUsage());
  process.exit(0);
}
checkFlags({ warnings, errors }, logger);

const host = process.env.LLMISVC_BIND_ADDRESS ?? "::";
const running = await runScheduler(options, host, createScheduler, logger).catch(
  failStart("scheduler cannot start", logger),
);

releaseStartMemory();
// The pool and the first metric pages are read after that.
setTimeout(releaseStartMemory, SETTLED_MS).unref();

stopOnSignal(logger, () => running.stop());
