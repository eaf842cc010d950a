import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startCluster } from "../../test/cluster/cluster.ts";
import { POD_NETWORK, allDefinitions } from "../../test/cluster/control-plane.ts";
import { haveComponents, kubernetesOf } from "../../test/cluster/toolbox.ts";
import type { Release } from "../../test/cluster/versions.ts";
import { usageOf } from "./process-usage.ts";

/** An API server that a bench runs on. */
export interface BenchServer {
  /** File with a user of all rights. */
  readonly kubeconfig: string;
  /** Address of this machine that the server takes for an endpoint of a Service. */
  readonly address: string;
  /** CPU time that its parts used so far, as text; empty where that is not known. */
  cpu(): string;
  close(): Promise<void>;
}

const ROOT = new URL("../..", import.meta.url).pathname;
const NETWORK = `${ROOT}test/cluster/in-network.sh`;
const IN_NETWORK = "LLMISVC_BENCH_NETWORK";

/** Whether this process has a network of its own, as `repeatInNetwork` gives one. */
export const inNetwork = (): boolean => process.env[IN_NETWORK] === "true";

/** Runs a bench once more in a network namespace where pods have addresses. Throws where it fails. */
export function repeatInNetwork(bench: string, args: readonly string[]): void {
  const command = [process.execPath, "--no-warnings", `${ROOT}bench/run.ts`, bench, ...args];
  const { status } = spawnSync(NETWORK, command, { stdio: "inherit", env: { ...process.env, [IN_NETWORK]: "true" } });
  if (status !== 0) throw new Error(`${bench} in a network of its own ended with ${status}`);
}

/** Starts a real API server with the controllers of Kubernetes and all definitions; its kubeconfig is put into `folder`. */
export async function startRealServer(release: string, folder: string): Promise<BenchServer> {
  if (release !== "newest" && release !== "older") throw new TypeError(`--server=${release}: newest or older`);
  const wanted: Release = release;
  if (!haveComponents("the bench on a real API server", "kubernetes", kubernetesOf(wanted)))
    throw new Error("the bench needs the components named above");
  const cluster = await startCluster({ release: wanted, definitions: allDefinitions() });
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  const cpuOf = ([name, pid]: readonly [string, number]): string => `${name} ${usageOf(pid).cpuSeconds.toFixed(0)} s`;
  return {
    kubeconfig,
    address: `${POD_NETWORK}.0.1`,
    cpu: () => [...cluster.processes()].map(cpuOf).join(", "),
    close: () => cluster.close(),
  };
}
