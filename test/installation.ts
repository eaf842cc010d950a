import { WEBHOOK_SERVICE } from "../controllers/webhooks/certificate.ts";
import type { KubeClient } from "../kube/client.ts";
import { KINDS } from "../kube/resources.ts";
import { type KubeObject, isAlreadyExists } from "../kube/types.ts";
import { SYSTEM_NAMESPACE } from "./composition.ts";

const FIELD_MANAGER = "installation";
const GATEWAY = "kserve-ingress-gateway";

/** Creates an object unless it is there. */
export async function createOnce(client: KubeClient, object: KubeObject): Promise<void> {
  await client.create(object, { fieldManager: FIELD_MANAGER }).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error;
  });
}

/** The operator's namespace and others, each with its default ServiceAccount. */
export async function createNamespaces(client: KubeClient, names: readonly string[]): Promise<void> {
  for (const name of [SYSTEM_NAMESPACE, ...names]) {
    await createOnce(client, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    await createOnce(client, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "default", namespace: name },
    });
  }
}

/** The default Gateway, with an address. */
export async function createGateway(client: KubeClient): Promise<void> {
  const key = { namespace: SYSTEM_NAMESPACE, name: GATEWAY };
  const listeners = [{ name: "http", protocol: "HTTP", port: 80, allowedRoutes: { namespaces: { from: "All" } } }];
  const { apiVersion, kind } = KINDS.Gateway;
  await createOnce(client, { apiVersion, kind, metadata: key, spec: { gatewayClassName: "test", listeners } });
  const status = { addresses: [{ type: "IPAddress", value: "203.0.113.10" }] };
  await client.patch(KINDS.Gateway, key, { type: "merge", body: { status } }, { subresource: "status" });
}

/** Where an operator outside of the cluster serves its webhooks. */
export interface WebhookAddress {
  readonly host: string;
  readonly port: number;
  /** API server, as `LLMISVC_TEST_SERVER` names it. */
  readonly server: string;
}

/** The Service of an installation by which the API server finds webhooks, with an operator's address behind it. */
export async function publishWebhooks(client: KubeClient, { host, port, server }: WebhookAddress): Promise<void> {
  const name = WEBHOOK_SERVICE;
  const metadata = { name, namespace: SYSTEM_NAMESPACE };
  const options = { fieldManager: FIELD_MANAGER, force: true };
  const ports = [{ name: "https", port: 443, targetPort: port, protocol: "TCP" }];
  await client.apply({ apiVersion: "v1", kind: "Service", metadata, spec: { ports } }, options);
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    endpoints: [{ addresses: [host], conditions: { ready: true } }],
    ports: [{ name: "https", port, protocol: "TCP" }],
  };
  await client.apply(slice, options);
  if (server !== "older") return;
  // That release looks for webhooks behind Endpoints, which the controller of endpoints would keep.
  const subsets = [{ addresses: [{ ip: host }], ports: [{ name: "https", port, protocol: "TCP" }] }];
  await client.apply({ apiVersion: "v1", kind: "Endpoints", metadata, subsets }, options);
}
