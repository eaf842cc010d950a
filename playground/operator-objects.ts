import type { KubeObject } from "../kube/types.ts";
import { SYSTEM_NAMESPACE } from "./cluster-objects.ts";

const NAME = "llmisvc-controller-manager";
const LABELS = { "app.kubernetes.io/name": "llmisvc", "control-plane": NAME };
const WEBHOOK_PORT = 9443;
const HEALTH_PORT = 8081;

/** Name of the operator's Deployment. */
export const OPERATOR_DEPLOYMENT = NAME;

/** The operator as a pod of the cluster, and the Service of its webhooks, under the names of KServe's chart. */
export function operatorObjects(): KubeObject[] {
  return [serviceAccount(), webhookService(), deployment()];
}

const metadata = (name: string) => ({ name, namespace: SYSTEM_NAMESPACE, labels: LABELS });

function serviceAccount(): KubeObject {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata(NAME) };
}

function webhookService(): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadata("llmisvc-webhook-server-service"),
    spec: { selector: LABELS, ports: [{ name: "https", port: 443, targetPort: WEBHOOK_PORT, protocol: "TCP" }] },
  };
}

function deployment(): KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata(NAME),
    spec: {
      replicas: 1,
      selector: { matchLabels: LABELS },
      template: { metadata: { labels: LABELS }, spec: { serviceAccountName: NAME, containers: [container()] } },
    },
  };
}

function container(): Record<string, unknown> {
  return {
    name: "manager",
    image: "llmisvc-operator:latest",
    command: ["/manager"],
    env: [{ name: "POD_NAMESPACE", value: SYSTEM_NAMESPACE }],
    ports: [
      { name: "webhook-server", containerPort: WEBHOOK_PORT, protocol: "TCP" },
      { name: "health", containerPort: HEALTH_PORT, protocol: "TCP" },
    ],
    livenessProbe: { httpGet: { path: "/healthz", port: HEALTH_PORT }, periodSeconds: 10 },
    readinessProbe: { httpGet: { path: "/readyz", port: HEALTH_PORT }, periodSeconds: 5 },
  };
}
