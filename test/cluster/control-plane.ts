import { customResourceDefinitions } from "../../crds/definitions.ts";
import { foreignDefinitions } from "../../crds/foreign.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { ControlPlane } from "../../playground/control-plane.ts";
import { createNetwork } from "../../playground/pods/address-network.ts";
import { type Kubelet, startKubelet } from "../../playground/pods/kubelet.ts";
import { NODE_NAME } from "../../playground/pods/runner.ts";
import { type Cluster, type ClusterOptions, startCluster } from "./cluster.ts";
import { referenceDefinitions } from "./definitions.ts";

/**
 * Network of the pods, which `in-network.sh` makes local to a network namespace: an API server takes no loopback addresses
 * as endpoints.
 */
export const POD_NETWORK = "10.128";

/** A real control plane for a playground, with the official definitions, and outlines where there are none. */
export async function realControlPlane(options: ClusterOptions = {}): Promise<ControlPlane> {
  return controlPlaneOf(await startCluster({ ...options, definitions: allDefinitions() }));
}

/** A control plane out of a cluster with `allDefinitions`, reached at `url`, by default directly. */
export function controlPlaneOf(cluster: Cluster, url = cluster.url): ControlPlane {
  let kubelet: Kubelet | undefined;
  return {
    url,
    kubeconfig: cluster.kubeconfig.replaceAll(cluster.url, url),
    network: createNetwork(POD_NETWORK),
    define: async () => undefined,
    startControllers: async () => ({ close: async () => undefined }),
    servePodLogs: async (client, logs) => {
      kubelet = await startKubelet(logs);
      const patch = { type: "merge", body: { status: kubeletStatus(kubelet) } } as const;
      await client.patch(KINDS.Node, { name: NODE_NAME }, patch, { subresource: "status" });
    },
    close: async () => {
      await kubelet?.close();
      await cluster.close();
    },
  };
}

/** The part of a Node's status that leads an API server to its kubelet. */
export function kubeletStatus({ host, port }: Kubelet) {
  return {
    addresses: [{ type: "InternalIP", address: host }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  };
}

/** Our definitions, the official foreign ones, and outlines of those that have no official one here. */
export function allDefinitions(): KubeObject[] {
  const official = referenceDefinitions();
  const names = new Set(official.map(({ metadata }) => metadata.name));
  const outlines = foreignDefinitions() as unknown as KubeObject[];
  const ours = customResourceDefinitions() as unknown as KubeObject[];
  return [...ours, ...official, ...outlines.filter(({ metadata }) => !names.has(metadata.name))];
}
