import { createKubeClient } from "../kube/http-client.ts";
import { loadKubeConfig } from "../kube/kubeconfig.ts";
import type { ClusterAccess } from "../kube/http-transport.ts";
import type { KubeObject } from "../kube/types.ts";
import { createApiServer } from "../playground/apiserver/server.ts";
import { startGarbageCollector } from "../playground/controllers/garbage-collector.ts";
import { silentLogger } from "../telemetry/log.ts";
import { startCluster } from "./cluster/cluster.ts";
import { POD_NETWORK } from "./cluster/control-plane.ts";
import { createDefinitions } from "./cluster/definitions.ts";
import { plainAccess } from "./loopback.ts";

/**
 * Which API server suites run against: the embedded one, or with `LLMISVC_TEST_SERVER` a real one of the release named there
 * (`newest`, `older`).
 */
export const SERVER: string = process.env["LLMISVC_TEST_SERVER"] ?? "embedded";

/** An API server that serves given kinds and deletes what has lost its owners. */
export interface BedServer {
  readonly access: ClusterAccess;
  /** Address of this machine that the server takes for an endpoint of a Service. */
  readonly host: string;
  /**
   * Turns of the event loop, a millisecond each, in which whatever one end of a connection has sent arrives at the other and
   * is answered.
   */
  readonly silentTurns: number;
  close(): Promise<void>;
}

/** Starts the server that `SERVER` says. A real one wants the network of `test/cluster/in-network.sh`. */
export async function startBedServer(definitions: readonly KubeObject[]): Promise<BedServer> {
  return SERVER === "embedded" ? await startEmbedded(definitions) : await startReal(definitions);
}

async function startEmbedded(definitions: readonly KubeObject[]): Promise<BedServer> {
  const server = await createApiServer();
  const access = plainAccess(server.url);
  const client = createKubeClient(access);
  await createDefinitions(client, definitions);
  const collector = await startGarbageCollector(client, silentLogger);
  return {
    access,
    host: "127.0.0.1",
    silentTurns: 25,
    close: async () => {
      await collector.close();
      client.close();
      await server.close();
    },
  };
}

/** Those that the embedded server stands for: others would write the statuses that tests write. */
const CONTROLLERS = ["garbage-collector-controller", "namespace-controller", "serviceaccount-controller"];

async function startReal(definitions: readonly KubeObject[]): Promise<BedServer> {
  const cluster = await startCluster({
    release: SERVER === "older" ? "older" : "newest",
    controllers: CONTROLLERS,
    definitions,
  });
  const access = await loadKubeConfig({ text: cluster.kubeconfig });
  return { access, host: `${POD_NETWORK}.0.1`, silentTurns: 300, close: () => cluster.close() };
}
