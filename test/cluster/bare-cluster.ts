import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resourceOf } from "../../kube/resources.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { KubeObject } from "../../kube/types.ts";
import { gatewayClass, node } from "../../playground/cluster-objects.ts";
import { createGateway } from "../../playground/gateway/gateway.ts";
import { createNetwork } from "../../playground/pods/address-network.ts";
import { startKubelet } from "../../playground/pods/kubelet.ts";
import { PROGRAMS } from "../../playground/playground.ts";
import { createPodRunner } from "../../playground/pods/runner.ts";
import type { Logger } from "../../telemetry/log.ts";
import { startEnvoyPlane } from "../envoy/gateway.ts";
import { startCluster } from "./cluster.ts";
import { POD_NETWORK, kubeletStatus } from "./control-plane.ts";
import { referenceDefinitions } from "./definitions.ts";

/** Address of the gateway, outside of what pods get. */
const GATEWAY_ADDRESS = `${POD_NETWORK}.0.2`;

/** A cluster as its administrator has it before our chart is installed. */
export interface BareCluster {
  readonly client: KubeClient;
  /** Kubeconfig (YAML) of the administrator. */
  readonly kubeconfig: string;
  /** Begins to run pods. */
  startNode(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a real API server with the controllers of Kubernetes, the official definitions of the Gateway API and of the
 * inference extension, one node whose pods run under their own ServiceAccounts once it is started, and a real Envoy for GatewayClass `envoy`.
 * Runs inside of `in-network.sh`. Rejects with the cause, with everything that was started ended again.
 */
export async function startBareCluster(logger: Logger): Promise<BareCluster> {
  const closers: (() => Promise<unknown> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const cluster = await startCluster({ definitions: referenceDefinitions() });
    closers.push(() => cluster.close());
    const { client } = cluster;
    await create(client, { ...gatewayClass(), metadata: { name: "envoy" } });
    await create(client, node());
    const envoy = await startEnvoyPlane();
    closers.push(() => envoy.close());
    const gateway = await createGateway({ client, host: GATEWAY_ADDRESS, dataPlane: envoy.create, logger });
    closers.push(() => gateway.close());
    const startNode = async (): Promise<void> => {
      const folder = mkdtempSync(join(tmpdir(), `llmisvc-pods-${randomUUID().slice(0, 8)}-`));
      closers.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
      const access = { apiServer: cluster.url };
      const network = createNetwork(POD_NETWORK);
      const runner = await createPodRunner({ client, access, folder, network, entries: PROGRAMS, logger });
      closers.push(() => runner.close());
      const kubelet = await startKubelet(runner.logs);
      closers.push(() => kubelet.close());
      await writeStatus(client, { ...node(), status: kubeletStatus(kubelet) });
    };
    return { client, kubeconfig: cluster.kubeconfig, startNode, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function create(client: KubeClient, object: KubeObject): Promise<void> {
  await client.create(object, { fieldManager: "administrator" });
  await writeStatus(client, object);
}

async function writeStatus(client: KubeClient, object: KubeObject): Promise<void> {
  const { status } = object;
  if (status === undefined) return;
  const patch = { type: "merge", body: { status } } as const;
  await client.patch(resourceOf(object), object.metadata, patch, { subresource: "status" });
}
