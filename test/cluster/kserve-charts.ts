import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { parseYamlDocuments } from "../../kube/yaml.ts";
import { operatorRules } from "../../controllers/operator-role.ts";
import { listShared, readShared } from "../corpus.ts";

const NAMESPACE = "kserve";
const MANAGER = "llmisvc-controller-manager";
const ROLE = "kserve-llmisvc-manager-role";
const LEADER = "llmisvc-leader-election";
const WEBHOOKS = "llmisvc-webhook-server-service";

type Body = Readonly<Record<string, unknown>>;

const SELECTOR = {
  "app.kubernetes.io/instance": "kserve-llmisvc-resources",
  "app.kubernetes.io/name": MANAGER,
  "control-plane": MANAGER,
  "controller-tools.k8s.io": "1.0",
};

const object = (
  { apiVersion, kind, namespaced }: Resource,
  name: string,
  body: Body,
  annotations: Body = {},
): Body => ({
  apiVersion,
  kind,
  metadata: { name, labels: SELECTOR, annotations, ...(namespaced ? { namespace: NAMESPACE } : {}) },
  ...body,
});

const binding = (kind: string, name: string): Body => ({
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name },
  subjects: [{ kind: "ServiceAccount", name: MANAGER, namespace: NAMESPACE }],
});

const service = (port: number, targetPort: string): Body => ({
  spec: { selector: SELECTOR, ports: [{ name: "https", port, targetPort, protocol: "TCP" }] },
});

/** One entry for each served version, under the names that KServe gives them; nobody answers when its controller is gone. */
function webhooks(singular: string, verb: "mutate" | "validate", role: string): Body {
  const entries = ["v1alpha2", "v1alpha1"].map((version) => ({
    name: `${singular}.kserve-webhook-server.${version}.${role}`,
    clientConfig: {
      service: { name: WEBHOOKS, namespace: NAMESPACE, path: `/${verb}-serving-kserve-io-${version}-${singular}` },
    },
    rules: [
      {
        apiGroups: ["serving.kserve.io"],
        apiVersions: [version],
        operations: ["CREATE", "UPDATE"],
        resources: [`${singular}s`],
      },
    ],
    failurePolicy: "Fail",
    matchPolicy: "Exact",
    sideEffects: "None",
    admissionReviewVersions: ["v1"],
  }));
  return { webhooks: entries };
}

const INJECTED = { "cert-manager.io/inject-ca-from": `${NAMESPACE}/llmisvc-serving-cert` };

function resources(): readonly Body[] {
  const container = { name: "manager", image: "kserve/llmisvc-controller:v0.20.0", command: ["/manager"] };
  const mounted = { ...container, volumeMounts: [{ name: "cert", mountPath: "/tmp/certs" }] };
  const volumes = [{ name: "cert", secret: { secretName: "llmisvc-webhook-server-cert" } }];
  const pod = { serviceAccountName: MANAGER, containers: [mounted], volumes };
  const template = { metadata: { labels: SELECTOR }, spec: pod };
  const leases = { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] };
  return [
    object(KINDS.ServiceAccount, MANAGER, {}),
    object(KINDS.ConfigMap, "inferenceservice-config", {
      data: {
        ingress: JSON.stringify({
          enableGatewayApi: true,
          kserveIngressGateway: `${NAMESPACE}/kserve-ingress-gateway`,
          ingressGateway: "knative-serving/knative-ingress-gateway",
          ingressDomain: "example.com",
        }),
      },
    }),
    object(KINDS.ClusterRole, ROLE, { rules: operatorRules() }),
    object(KINDS.ClusterRoleBinding, "llmisvc-manager-rolebinding", binding("ClusterRole", ROLE)),
    object(KINDS.Role, `${LEADER}-role`, { rules: [leases] }),
    object(KINDS.RoleBinding, `${LEADER}-rolebinding`, binding("Role", `${LEADER}-role`)),
    object(KINDS.Service, WEBHOOKS, service(443, "webhook-server")),
    object(KINDS.Service, `${MANAGER}-service`, service(8443, "metrics")),
    object(KINDS.Deployment, MANAGER, { spec: { replicas: 1, selector: { matchLabels: SELECTOR }, template } }),
    object(KINDS.Certificate, "llmisvc-serving-cert", { spec: { secretName: "llmisvc-webhook-server-cert" } }),
    object(
      KINDS.MutatingWebhookConfiguration,
      "llminferenceservice.serving.kserve.io",
      webhooks("llminferenceservice", "mutate", "defaulter"),
      INJECTED,
    ),
    object(
      KINDS.ValidatingWebhookConfiguration,
      "llminferenceservice.serving.kserve.io",
      webhooks("llminferenceservice", "validate", "validator"),
      INJECTED,
    ),
    object(
      KINDS.ValidatingWebhookConfiguration,
      "llminferenceserviceconfig.serving.kserve.io",
      webhooks("llminferenceserviceconfig", "validate", "validator"),
      INJECTED,
    ),
  ];
}

function definitions(): readonly Body[] {
  return listShared("reference/crds/kserve/v0.20.0", ".yaml")
    .flatMap((path) => parseYamlDocuments(readShared(path)) as unknown as Body[])
    .filter((one) => one["kind"] === KINDS.CustomResourceDefinition.kind);
}

function write(folder: string, name: string, objects: readonly Body[]): void {
  const chart = join(folder, name);
  mkdirSync(join(chart, "templates"), { recursive: true });
  writeFileSync(join(chart, "Chart.yaml"), JSON.stringify({ apiVersion: "v2", name, version: "v0.20.0" }));
  // As files of the chart: descriptions of definitions may look like templates.
  mkdirSync(join(chart, "files"));
  for (const [index, one] of objects.entries()) writeFileSync(join(chart, `files/${index}.json`), JSON.stringify(one));
  writeFileSync(
    join(chart, "templates/all.yaml"),
    '{{ range $path, $_ := .Files.Glob "files/*.json" }}\n---\n{{ $.Files.Get $path }}\n{{ end }}',
  );
}

/**
 * Writes charts with the objects that KServe's charts of v0.20 have under the same names: definitions, rights, Services with
 * their selectors, webhooks that refuse what nobody checks. Returns the folder.
 */
export function writeKserveCharts(folder: string): string {
  const charts = join(folder, "kserve-charts");
  write(charts, "kserve-llmisvc-crd", definitions());
  write(charts, "kserve-llmisvc-resources", resources());
  return charts;
}
