import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KubeClient } from "../../kube/client.ts";
import { createKubeClient } from "../../kube/http-client.ts";
import { createApiServer } from "../../playground/apiserver/server.ts";
import { sharedPath } from "../../test/corpus.ts";
import { plainAccess } from "../../test/loopback.ts";
import { type Child, jsonLine, startNode } from "./child.ts";
import { createPool, poolPod, setReady } from "./pool.ts";

/** A pool of ready pods in an embedded API server, and their model servers in one process of their own. */
export interface Fleet {
  readonly kubeconfig: string;
  readonly poolName: string;
  /** `ip:port` of each endpoint. */
  readonly endpoints: ReadonlySet<string>;
  /** Process of the model servers. */
  readonly servers: Child;
  readonly metricsPage: string;
  close(): Promise<void>;
}

const POOL = "bench";
const METRICS_PAGE = "corpus/metrics/vllm-current.txt";

/** Starts `count` model servers and makes as many ready pods. `folder` gets the kubeconfig. */
export async function startFleet(count: number, folder: string): Promise<Fleet> {
  const script = new URL("model-servers.ts", import.meta.url).pathname;
  const servers = startNode([script, sharedPath(METRICS_PAGE), String(count)]);
  const { port, addresses } = await servers.line((line) => jsonLine(line) as ModelServers | undefined);
  const api = await createApiServer();
  const client = createKubeClient(plainAccess(api.url));
  await createPool(client, POOL, port);
  await createPods(client, addresses);
  client.close();
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, api.kubeconfig());
  return {
    kubeconfig,
    poolName: POOL,
    endpoints: new Set(addresses.map((address) => `${address}:${port}`)),
    servers,
    metricsPage: METRICS_PAGE,
    close: async () => {
      await servers.stop();
      await api.close();
    },
  };
}

interface ModelServers {
  readonly port: number;
  readonly addresses: readonly string[];
}

async function createPods(client: KubeClient, addresses: readonly string[]): Promise<void> {
  for (const [index, podIP] of addresses.entries()) {
    const name = `model-${index}`;
    await client.create(poolPod(POOL, name));
    await setReady(client, name, true, { phase: "Running", podIP, podIPs: [{ ip: podIP }] });
  }
}
