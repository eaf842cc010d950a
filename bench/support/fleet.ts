import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { foreignDefinitions } from "../../crds/foreign.ts";
import { type ApiServer, createApiServer } from "../../playground/apiserver/server.ts";
import { sharedPath } from "../../test/corpus.ts";
import { type Child, jsonLine, startNode } from "./child.ts";

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
const LABELS = { app: "bench" };
const METRICS_PAGE = "corpus/metrics/vllm-current.txt";

/** Starts `count` model servers and makes as many ready pods. `folder` gets the kubeconfig. */
export async function startFleet(count: number, folder: string): Promise<Fleet> {
  const script = new URL("model-servers.ts", import.meta.url).pathname;
  const servers = startNode([script, sharedPath(METRICS_PAGE), String(count)]);
  const { port, addresses } = await servers.line((line) => jsonLine(line) as ModelServers | undefined);
  const api = await createApiServer();
  await createObjects(api, addresses, port);
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

async function createObjects(api: ApiServer, addresses: readonly string[], port: number): Promise<void> {
  await post(api, "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  for (const definition of foreignDefinitions())
    await post(api, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
  await post(api, "/apis/inference.networking.k8s.io/v1/namespaces/default/inferencepools", {
    apiVersion: "inference.networking.k8s.io/v1",
    kind: "InferencePool",
    metadata: { name: POOL },
    spec: {
      selector: { matchLabels: LABELS },
      targetPorts: [{ number: port }],
      endpointPickerRef: { name: "bench-epp", port: { number: 9002 } },
    },
  });
  for (const [index, podIP] of addresses.entries()) {
    const name = `model-${index}`;
    const pods = "/api/v1/namespaces/default/pods";
    const spec = { containers: [{ name: "main", image: "vllm", ports: [{ containerPort: port }] }] };
    await post(api, pods, { apiVersion: "v1", kind: "Pod", metadata: { name, labels: LABELS }, spec });
    const conditions = [{ type: "Ready", status: "True" }];
    const status = { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions };
    await send(api, "PATCH", `${pods}/${name}/status`, { status }, "application/merge-patch+json");
  }
}

const post = (api: ApiServer, path: string, body: unknown): Promise<void> =>
  send(api, "POST", path, body, "application/json");

async function send(api: ApiServer, method: string, path: string, body: unknown, type: string): Promise<void> {
  const headers = { "content-type": type };
  const response = await fetch(`${api.url}${path}`, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
}
