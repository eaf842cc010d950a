import { join } from "node:path";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { foreignDefinitions } from "../crds/foreign.ts";
import type { KubeClient } from "../kube/client.ts";
import { type KubeObject, isAlreadyExists } from "../kube/types.ts";
import type { Logger } from "../telemetry/log.ts";
import type { PodLogs } from "./apiserver/logs.ts";
import { createApiServer } from "./apiserver/server.ts";
import { startControllers } from "./controllers/controllers.ts";
import type { AddressNetwork } from "./pods/address-network.ts";

/** Manager of the fields of objects that a playground starts with. */
export const FIELD_MANAGER = "llmisvc-playground";

/** An API server and the controllers of Kubernetes: what a playground runs its gateway, its pods and the operator on. */
export interface ControlPlane {
  /** URL of the API server. */
  readonly url: string;
  /** Kubeconfig (YAML) with one context, `playground`. */
  readonly kubeconfig: string;
  /** Serves our kinds and the foreign ones; leaves definitions that are there alone. */
  define(client: KubeClient): Promise<void>;
  /** Starts what acts on Deployments, Services and owners. */
  startControllers(client: KubeClient): Promise<{ close(): Promise<void> }>;
  /** Names who answers `pods/log`. */
  servePodLogs(client: KubeClient, logs: PodLogs): Promise<void> | void;
  /** Addresses of pods; undefined for loopback addresses. */
  readonly network: AddressNetwork | undefined;
  close(): Promise<void>;
}

/** Where the embedded control plane listens and what it keeps. */
export interface EmbeddedOptions {
  /** 0: a free one. */
  readonly port: number;
  /** Folder of the cluster's state; undefined: in memory. */
  readonly dataDir: string | undefined;
  readonly logger: Logger;
}

/** The control plane of this process: no binary, no container. */
export async function embeddedControlPlane({ port, dataDir, logger }: EmbeddedOptions): Promise<ControlPlane> {
  const state = dataDir === undefined ? {} : { dataDir: join(dataDir, "api") };
  const api = await createApiServer({ port, logger, ...state });
  return {
    url: api.url,
    kubeconfig: api.kubeconfig(),
    define: (client) =>
      createMissing(client, [...foreignDefinitions(), ...customResourceDefinitions()] as unknown as KubeObject[]),
    startControllers: (client) => startControllers(client, { logger }),
    servePodLogs: (_client, logs) => api.onPodLogs(logs),
    network: undefined,
    close: () => api.close(),
  };
}

/** Definitions are large and never edited here: what is there from an earlier run stays. */
async function createMissing(client: KubeClient, objects: readonly KubeObject[]): Promise<void> {
  for (const object of objects) {
    try {
      await client.create(object, { fieldManager: FIELD_MANAGER });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }
}
