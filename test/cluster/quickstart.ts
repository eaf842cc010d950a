import { writeFileSync } from "node:fs";
import { createLogger, describeError } from "../../telemetry/log.ts";
import { startBareCluster } from "./bare-cluster.ts";
import { type Recorded, STEPS, quickstartPage } from "./quickstart-steps.ts";
import { openShell, type UserShell } from "./user-shell.ts";

const USAGE = `test/cluster/in-network.sh bin/node test/cluster/quickstart.ts [--output FILE] [-v]

Installs the chart with helm on a real Kubernetes and sends a completion through a real Envoy, command by command as a user
would. Writes the transcript as a page. -v shows the log of pods and gateway when something fails.
`;

async function record(shell: UserShell): Promise<Recorded[]> {
  const recorded: Recorded[] = [];
  for (const command of STEPS.flatMap(({ commands }) => commands))
    recorded.push({ command, output: await shell.run(command) });
  return recorded;
}

async function main(output: string | undefined, verbose: boolean): Promise<void> {
  let log = "";
  const startMs = performance.now();
  const logger = createLogger({ name: "quickstart", format: "console", verbosity: 4, write: (text) => (log += text) });
  const cluster = await startBareCluster(logger);
  const shell = openShell(cluster.kubeconfig);
  try {
    await cluster.startNode();
    const page = quickstartPage(await record(shell));
    if (output !== undefined) writeFileSync(output, page);
    process.stdout.write(`all of it: ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`);
  } catch (error) {
    logger.flush();
    if (verbose) process.stderr.write(log.slice(-20_000));
    throw error;
  } finally {
    await cluster.close();
    shell.close();
  }
}

const args = process.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  process.stdout.write(USAGE);
} else {
  const at = args.indexOf("--output");
  await main(at < 0 ? undefined : args[at + 1], args.includes("-v")).catch((error: unknown) => {
    process.stderr.write(`${describeError(error)}\n`);
    process.exitCode = 1;
  });
}
