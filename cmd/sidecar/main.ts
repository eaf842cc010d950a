import { readFileSync } from "node:fs";
import { parseSidecarFlags, sidecarUsage } from "../../sidecar/config/options.ts";
import { runSidecar } from "../../sidecar/run.ts";
import { createLogger } from "../../telemetry/log.ts";
import { releaseStartMemory } from "../../telemetry/start-memory.ts";
import { checkFlags, failStart, stopOnSignal } from "../process.ts";

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
checkFlags({ warnings, errors }, logger);

/** An address of its own is the pod's, model server included; all addresses are those of a pod's network. */
const host = process.env.LLMISVC_BIND_ADDRESS ?? "::";
const engineHost = ["::", "0.0.0.0"].includes(host) ? "localhost" : host;
const running = await runSidecar({ options, env: process.env, host, engineHost, logger }).catch(
  failStart("sidecar cannot start", logger),
);

releaseStartMemory();

stopOnSignal(logger, () => running.stop(SHUTDOWN_GRACE_MS));
