import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { writeChart } from "../../charts/package.ts";
import { createLogger, describeError } from "../../telemetry/log.ts";
import { ROOT, run } from "../e2e/process.ts";
import { startBareCluster } from "./bare-cluster.ts";
import { type Recorded, STEPS, quickstartPage } from "./quickstart-steps.ts";
import { folderOf, kubectlPath } from "./toolbox.ts";

const USAGE = `test/cluster/in-network.sh bin/node test/cluster/quickstart.ts [--output FILE] [-v]

Installs the chart with helm on a real Kubernetes and sends a completion through a real Envoy, command by command as a user
would. Writes the transcript as a page. -v shows the log of pods and gateway when something fails.
`;

/** Runs the commands one after the other in a folder like a checkout; throws with the output of the first that fails. */
async function record(folder: string, kubeconfig: string): Promise<Recorded[]> {
  const env = environment(folder, kubeconfig);
  const recorded: Recorded[] = [];
  for (const step of STEPS)
    for (const command of step.commands) {
      const startMs = performance.now();
      const { code, stdout, stderr } = await run("bash", ["-c", `cd ${folder} && ${command}`], { env });
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      process.stdout.write(`$ ${command}\n${stdout}${stderr}(${seconds} s)\n\n`);
      if (code !== 0) throw new Error(`${command} ended with ${code}`);
      recorded.push({ command, output: stdout });
    }
  return recorded;
}

function environment(folder: string, kubeconfig: string): Record<string, string> {
  const file = join(folder, "kubeconfig");
  writeFileSync(file, kubeconfig, { mode: 0o600 });
  const tools = [folderOf("helm"), dirname(kubectlPath() ?? ""), join(ROOT, "bin")];
  return { KUBECONFIG: file, HOME: folder, PATH: [...tools, process.env["PATH"] ?? ""].join(delimiter) };
}

/** What `make chart` leaves, and the samples, in a folder of its own. */
function checkout(): string {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-quickstart-"));
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
  mkdirSync(join(folder, "dist"));
  writeChart(join(folder, "chart"));
  execFileSync("tar", ["-czf", join(folder, `dist/llmisvc-${version}.tgz`), "-C", join(folder, "chart"), "llmisvc"]);
  symlinkSync(join(ROOT, "samples"), join(folder, "samples"));
  return folder;
}

async function main(output: string | undefined, verbose: boolean): Promise<void> {
  let log = "";
  const startMs = performance.now();
  const logger = createLogger({ name: "quickstart", format: "console", verbosity: 4, write: (text) => (log += text) });
  const folder = checkout();
  const cluster = await startBareCluster(logger);
  try {
    const page = quickstartPage(await record(folder, cluster.kubeconfig));
    if (output !== undefined) writeFileSync(output, page);
    process.stdout.write(`all of it: ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`);
  } catch (error) {
    logger.flush();
    if (verbose) process.stderr.write(log.slice(-20_000));
    throw error;
  } finally {
    await cluster.close();
    rmSync(folder, { recursive: true, force: true });
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
