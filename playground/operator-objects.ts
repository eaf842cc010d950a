import { MANAGER_ROLE } from "../controllers/install.ts";
import {
  METRICS_READER,
  METRICS_READER_RULES,
  operatorNamespaceRules,
  operatorRules,
} from "../controllers/operator-role.ts";
import { KINDS, type Resource } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { SYSTEM_NAMESPACE } from "./cluster-objects.ts";

const NAME = "llmisvc-controller-manager";
const LABELS = { "app.kubernetes.io/name": "llmisvc", "control-plane": NAME };
const WEBHOOK_PORT = 9443;
const HEALTH_PORT = 8081;

/** Name of the operator's Deployment. */
export const OPERATOR_DEPLOYMENT = NAME;

const LEADER_ELECTION = "llmisvc-leader-election";

/**
 * The operator as a pod of the cluster, with the rights and the Service of its webhooks, and the account that may read the
 * metrics of schedulers: under the names of KServe's chart.
 */
export function operatorObjects(): KubeObject[] {
  return [serviceAccount(NAME), ...rights(), ...metricsReader(), webhookService(), deployment()];
}

const metadata = (name: string) => ({ name, namespace: SYSTEM_NAMESPACE, labels: LABELS });

const object = ({ apiVersion, kind, namespaced }: Resource, name: string, body: object): KubeObject => ({
  apiVersion,
  kind,
  metadata: namespaced ? metadata(name) : { name, labels: LABELS },
  ...body,
});

const serviceAccount = (name: string): KubeObject => object(KINDS.ServiceAccount, name, {});

/** Binds a role to a ServiceAccount of the operator's namespace. */
function binding(kind: Resource, name: string, { kind: roleKind, metadata: role }: KubeObject, account: string) {
  return object(kind, name, {
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: roleKind, name: role.name },
    subjects: [{ kind: "ServiceAccount", name: account, namespace: SYSTEM_NAMESPACE }],
  });
}

function rights(): KubeObject[] {
  const everywhere = object(KINDS.ClusterRole, MANAGER_ROLE, { rules: operatorRules() });
  const own = object(KINDS.Role, `${LEADER_ELECTION}-role`, { rules: operatorNamespaceRules() });
  return [
    everywhere,
    binding(KINDS.ClusterRoleBinding, "llmisvc-manager-rolebinding", everywhere, NAME),
    own,
    binding(KINDS.RoleBinding, `${LEADER_ELECTION}-rolebinding`, own, NAME),
  ];
}

function metricsReader(): KubeObject[] {
  const role = object(KINDS.ClusterRole, METRICS_READER, { rules: METRICS_READER_RULES });
  const bound = binding(KINDS.ClusterRoleBinding, METRICS_READER, role, METRICS_READER);
  return [serviceAccount(METRICS_READER), role, bound];
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
