import { hostname } from "node:os";
import { parseSimulatorFlags } from "../../simulator/server/options.ts";
import { startSimulator } from "../../simulator/server/server.ts";
import { createLogger } from "../../telemetry/log.ts";
import { stopOnSignal } from "../process.ts";

/** Answers still running when the process is asked to end get this long. */
const SHUTDOWN_GRACE_MS = 10_000;

const log = createLogger({ name: "simulator" });
const { options, warnings, errors } = parseSimulatorFlags(
  process.argv.slice(2),
  process.env.LLMISVC_BIND_ADDRESS ?? "0.0.0.0",
);

function fail(message: string, fields: Record<string, unknown>): never {
  log.error(message, fields);
  log.flush();
  process.exit(2);
}

if (errors.length > 0) fail("invalid flags", { errors });
if (warnings.length > 0) log.warn("flags without effect in a simulated server", { flags: warnings });

const simulator = await startSimulator(options, {
  name: process.env.POD_NAME ?? hostname(),
  namespace: process.env.POD_NAMESPACE,
  address: process.env.POD_IP,
}).catch((error: unknown) => fail("cannot listen", { host: options.host, port: options.port, error }));

log.info("simulated model server listening", {
  host: simulator.host,
  port: simulator.port,
  models: options.servedModelNames,
});

stopOnSignal(log, () => simulator.close(SHUTDOWN_GRACE_MS));
