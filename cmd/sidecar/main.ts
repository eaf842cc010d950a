import { readFileSync } from "node:fs";
import { parseSidecarFlags, sidecarUsage } from "../../sidecar/config/options.ts";
import { runSidecar } from "../../sidecar/run.ts";
import { createLogger } from "../../telemetry/log.ts";
import { releaseStartMemory } from "../../telemetry/start-memory.ts";

/** Answers still running when the process is asked to end get this long. */
const SHUTDOWN_GRACE_MS = 60_000;

const { options, warnings, errors, help, version } = parseSidecarFlags(process.argv.slice(2), process.env, (path) =>
  readFileSync(path, "utf8"),
);
const logger = createLogger({ name: "sidecar", verbosity: options.verbosity, format: options.logFormat });

if (help || version) {
  const built = `llmisvc sidecar ${process.env.BUILD_REF ?? "from source"} ${process.env.BUILD_COMMIT ?? ""}`;
  process.stdout.write(help ? sidecarUsage() : `${built.trim()}\n`);
  process.exit(0);
}
for (const warning of warnings) logger.warn(warning);
if (errors.length > 0) {
  for (const error of errors) logger.error("invalid flag", { error });
  logger.flush();
  process.exit(2);
}

/** An address of its own is the pod's, model server included; all addresses are those of a pod's network. */
const host = process.env.LLMISVC_BIND_ADDRESS ?? "::";
const engineHost = ["::", "0.0.0.0"].includes(host) ? "localhost" : host;
const running = await runSidecar({ options, env: process.env, host, engineHost, logger }).catch((error: unknown) => {
  logger.error("sidecar cannot start", { error });
  logger.flush();
  process.exit(1);
});

releaseStartMemory();

async function stop(): Promise<void> {
  logger.info("shutting down");
  await running.stop(SHUTDOWN_GRACE_MS);
  logger.flush();
  process.exit(0);
}

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop());
