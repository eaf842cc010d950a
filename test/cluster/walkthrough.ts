import { createLogger, describeError } from "../../telemetry/log.ts";
import { type BareCluster, startBareCluster } from "./bare-cluster.ts";
import { type UserShell, openShell } from "./user-shell.ts";

/** Something that a user does on a cluster, command by command. */
export interface Walkthrough {
  /** Of the log. */
  readonly name: string;
  /** Whether the state of the cluster and the log of pods and gateway are shown when something fails. */
  readonly verbose: boolean;
  run(cluster: BareCluster, shell: UserShell): Promise<void>;
}

const LOG_SHOWN = 20_000;
const STATE =
  "kubectl get events,pods,llmisvc -A; kubectl -n kserve get svc,endpointslices,deploy -o wide; kubectl -n kserve logs deploy/llmisvc-controller-manager --tail=40";

/** Runs it on a cluster of its own and tells how long it took. Where it fails, says why and sets the exit code. */
export async function walkThrough(walkthrough: Walkthrough): Promise<void> {
  await onCluster(walkthrough).catch((error: unknown) => {
    process.stderr.write(`${describeError(error)}\n`);
    process.exitCode = 1;
  });
}

async function onCluster({ name, verbose, run }: Walkthrough): Promise<void> {
  let log = "";
  const startMs = performance.now();
  const logger = createLogger({ name, format: "console", verbosity: 4, write: (text) => (log += text) });
  const cluster = await startBareCluster(logger);
  const shell = openShell(cluster.kubeconfig);
  try {
    await run(cluster, shell);
    process.stdout.write(`all of it: ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`);
  } catch (error) {
    if (verbose) {
      await shell.run(STATE).catch(() => "");
      logger.flush();
      process.stderr.write(log.slice(-LOG_SHOWN));
    }
    throw error;
  } finally {
    await cluster.close();
    shell.close();
  }
}
