import { parseArgs } from "node:util";
import { startPlayground } from "../../playground/playground.ts";
import { createLogger, describeError } from "../../telemetry/log.ts";
import { realControlPlane } from "./control-plane.ts";
import type { Release } from "./versions.ts";

const USAGE = `test/cluster/in-network.sh bin/node test/cluster/playground.ts --kubeconfig FILE [--gateway-port N] [--release newest|older] [-v N]

The playground with a real API server and controller manager in place of the embedded ones.
`;

const { values } = parseArgs({
  options: {
    kubeconfig: { type: "string" },
    "gateway-port": { type: "string", default: "0" },
    release: { type: "string", default: "newest" },
    verbosity: { type: "string", short: "v", default: "0" },
  },
});
if (values.kubeconfig === undefined || (values.release !== "newest" && values.release !== "older")) {
  process.stderr.write(USAGE);
  process.exit(2);
}
const release: Release = values.release;
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const logger = createLogger({
  name: "playground",
  format: "console",
  verbosity: Number(values.verbosity),
  write: (text) => void process.stderr.write(text),
});
const stop = new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
});

try {
  const playground = await startPlayground({
    dataDir: undefined,
    kubeconfig: values.kubeconfig,
    port: 0,
    gatewayPort: Number(values["gateway-port"]),
    logger,
    progress: { running: () => undefined, done: (name, outcome) => say(`${name}: ${outcome}`) },
    controlPlane: () => realControlPlane({ release }),
  });
  say("Ctrl-C stops everything.");
  await stop;
  await playground.close();
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
logger.flush();
