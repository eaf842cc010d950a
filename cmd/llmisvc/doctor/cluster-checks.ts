import { X509Certificate } from "node:crypto";
import { parseGlobalConfig, GLOBAL_CONFIG_NAME } from "../../../controllers/composition/global-config.ts";
import { WEBHOOK_SERVICE } from "../../../controllers/webhooks/certificate.ts";
import { stringMapOf } from "../../../controllers/json-edit.ts";
import { asJson } from "../../../controllers/llminferenceservice/pass.ts";
import { at, listAt, numberAt, objectAt, textAt } from "../../../crds/json.ts";
import { GROUP, VERSIONS } from "../../../crds/definitions.ts";
import { KINDS, type Resource } from "../../../kube/resources.ts";
import type { KubeObject } from "../../../kube/types.ts";
import { type Finding, Subject } from "./findings.ts";
import { OPERATOR_LABEL, type Snapshot } from "./snapshot.ts";

/** Oldest minor of Kubernetes 1 that is supported. */
const OLDEST_MINOR = 29;
const OPERATOR_SELECTOR = `${OPERATOR_LABEL.key}=${OPERATOR_LABEL.value}`;
const EXPIRES_SOON_MS = 7 * 24 * 3_600_000;

/** APIs that services may need, what for, and where they come from. */
const OPTIONAL_APIS: readonly (readonly [resource: Resource, field: RegExp, remedy: string])[] = [
  [KINDS.HTTPRoute, /"route":/, "install the CRDs of the Gateway API and a gateway"],
  [KINDS.InferencePool, /"scheduler":/, "install the CRDs of the Gateway API inference extension"],
  [KINDS.LeaderWorkerSet, /"worker":/, "install LeaderWorkerSet"],
  [KINDS.ScaledObject, /"keda":/, "install KEDA"],
];

/** Whether the cluster has what the operator and its services stand on. */
export function checkCluster(snapshot: Snapshot, systemNamespace: string): Finding[] {
  return [
    ...checkApiServer(snapshot),
    ...checkDefinitions(snapshot),
    ...checkOperator(snapshot, systemNamespace),
    ...checkWebhooks(snapshot),
    ...checkConfig(snapshot, systemNamespace),
    ...checkGateway(snapshot, systemNamespace),
  ];
}

function checkApiServer({ serverVersion }: Snapshot): Finding[] {
  const subject = new Subject("API server");
  const minor = Number(/^v1\.(\d+)/.exec(serverVersion)?.[1] ?? Number.NaN);
  if (minor < OLDEST_MINOR) subject.warn(`Kubernetes ${serverVersion} is older than v1.${OLDEST_MINOR}`, "upgrade it");
  else subject.ok(`Kubernetes ${serverVersion}`);
  return subject.findings;
}

function checkDefinitions(snapshot: Snapshot): Finding[] {
  const subject = new Subject("custom resource definitions");
  const unreadable = snapshot.unreadable(KINDS.CustomResourceDefinition);
  if (unreadable !== undefined) return subject.findings;
  for (const plural of ["llminferenceservices", "llminferenceserviceconfigs"])
    checkDefinition(subject, snapshot, plural);
  const specs = JSON.stringify(snapshot.list(KINDS.LLMInferenceService).map((service) => service["spec"]));
  const served = new Set(snapshot.list(KINDS.CustomResourceDefinition).map(({ metadata }) => metadata.name));
  for (const [resource, field, remedy] of OPTIONAL_APIS) {
    const name = `${resource.plural}.${resource.apiVersion.split("/")[0]}`;
    if (!served.has(name) && field.test(specs)) subject.fail(`services need ${name}, which is not installed`, remedy);
  }
  return subject.findings;
}

function checkDefinition(subject: Subject, snapshot: Snapshot, plural: string): void {
  const definition = asJson(snapshot.find(KINDS.CustomResourceDefinition, undefined, `${plural}.${GROUP}`));
  if (definition === undefined)
    return subject.fail(`${plural}.${GROUP} is not installed`, "install the chart with crds.install=true");
  const served = listAt(definition, "spec", "versions").filter((version) => at(version, "served") === true);
  const missing = VERSIONS.filter((version) => !served.some((entry) => at(entry, "name") === version));
  if (missing.length > 0)
    return subject.fail(`${plural} is not served in ${missing.join(", ")}`, "upgrade the definitions with the chart");
  if (textAt(definition, "spec", "conversion", "strategy") !== "Webhook")
    return subject.fail(
      `${plural} has no conversion webhook, so objects of v1alpha1 cannot be read`,
      "start the operator, which installs it",
    );
  subject.ok(`${plural} is served in ${VERSIONS.join(", ")}`);
}

/** The operator's Deployment. */
function operatorOf(snapshot: Snapshot, namespace: string): KubeObject | undefined {
  const { key, value } = OPERATOR_LABEL;
  return snapshot.list(KINDS.Deployment, namespace).find(({ metadata }) => metadata.labels?.[key] === value);
}

/** Whether all these kinds could be read; what could not is told once, and nothing is concluded from it. */
export const canRead = (snapshot: Snapshot, ...resources: readonly Resource[]): boolean =>
  resources.every((resource) => [undefined, "missing"].includes(snapshot.unreadable(resource)));

function checkOperator(snapshot: Snapshot, namespace: string): Finding[] {
  const subject = new Subject("operator");
  if (!canRead(snapshot, KINDS.Deployment)) return [];
  const deployment = operatorOf(snapshot, namespace);
  if (deployment === undefined) {
    subject.fail(
      `no Deployment labelled ${OPERATOR_SELECTOR} in namespace ${namespace}`,
      "install the chart, or name its namespace with --system-namespace",
    );
    return subject.findings;
  }
  const available = numberAt(asJson(deployment), "status", "availableReplicas") ?? 0;
  if (available > 0) subject.ok(`Deployment ${namespace}/${deployment.metadata.name} has ${available} available pods`);
  else
    subject.fail(
      `Deployment ${namespace}/${deployment.metadata.name} has no available pod: services are not reconciled`,
      `kubectl -n ${namespace} describe pods -l ${OPERATOR_SELECTOR}`,
    );
  return subject.findings;
}

function checkWebhooks(snapshot: Snapshot): Finding[] {
  const subject = new Subject("webhooks");
  if (!canRead(snapshot, KINDS.MutatingWebhookConfiguration, KINDS.ValidatingWebhookConfiguration)) return [];
  const configurations = [
    ...snapshot.list(KINDS.MutatingWebhookConfiguration),
    ...snapshot.list(KINDS.ValidatingWebhookConfiguration),
  ].filter(({ metadata }) => metadata.name.endsWith(`.${GROUP}`) && metadata.name.startsWith("llminferenceservice"));
  if (configurations.length === 0) {
    subject.fail("none is registered, so manifests are not checked when they are applied", "start the operator");
    return subject.findings;
  }
  const clients = configurations.flatMap((configuration) =>
    listAt(asJson(configuration), "webhooks").map((webhook) => objectAt(webhook, "clientConfig") ?? {}),
  );
  const namespaces = new Set(clients.map((client) => textAt(client, "service", "namespace") ?? ""));
  for (const namespace of namespaces) checkWebhookService(subject, snapshot, namespace);
  const bundles = new Set(clients.map((client) => textAt(client, "caBundle") ?? ""));
  for (const bundle of bundles) checkAuthority(subject, bundle, snapshot.nowMs);
  return subject.findings;
}

function checkWebhookService(subject: Subject, snapshot: Snapshot, namespace: string): void {
  if (!canRead(snapshot, KINDS.EndpointSlice)) return;
  const endpoints = readyAddresses(snapshot, namespace, WEBHOOK_SERVICE);
  if (endpoints > 0) subject.ok(`Service ${namespace}/${WEBHOOK_SERVICE} has ${endpoints} ready endpoints`);
  else
    subject.fail(
      `Service ${namespace}/${WEBHOOK_SERVICE} has no ready endpoint, so kubectl apply of a service fails`,
      "bring the operator's pods up",
    );
}

/** Ready endpoints of a Service. */
export function readyAddresses(snapshot: Snapshot, namespace: string, service: string): number {
  return snapshot
    .list(KINDS.EndpointSlice, namespace)
    .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === service)
    .flatMap((slice) => listAt(asJson(slice), "endpoints"))
    .filter((endpoint) => at(endpoint, "conditions", "ready") !== false).length;
}

function checkAuthority(subject: Subject, bundle: string, nowMs: number): void {
  const remedy = "delete the Secret llmisvc-webhook-server-cert and restart the operator, which makes a new one";
  const validTo = expiryOf(Buffer.from(bundle, "base64").toString("utf8"));
  if (validTo === undefined) return subject.fail("caBundle is empty or no certificate", "restart the operator");
  const left = validTo - nowMs;
  const when = new Date(validTo).toISOString();
  if (left <= 0) subject.fail(`certificate expired at ${when}`, remedy);
  else if (left < EXPIRES_SOON_MS) subject.warn(`certificate expires at ${when}`, remedy);
  else subject.ok(`certificate is valid until ${when}`);
}

/** End of validity of a PEM certificate, in ms; undefined where there is none. */
export function expiryOf(pem: string): number | undefined {
  try {
    return Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return undefined;
  }
}

/** The operator's ConfigMap, and what it says. */
function configOf(snapshot: Snapshot, namespace: string) {
  const live = asJson(snapshot.find(KINDS.ConfigMap, namespace, GLOBAL_CONFIG_NAME));
  const parsed = parseGlobalConfig(live === undefined ? undefined : stringMapOf(live["data"]), namespace);
  return { live, parsed };
}

function checkConfig(snapshot: Snapshot, namespace: string): Finding[] {
  const subject = new Subject(`ConfigMap ${namespace}/${GLOBAL_CONFIG_NAME}`);
  if (!canRead(snapshot, KINDS.ConfigMap, KINDS.LLMInferenceServiceConfig)) return [];
  const { live, parsed } = configOf(snapshot, namespace);
  if (parsed.kind !== "parsed")
    subject.fail(parsed.errors.join("; "), "correct the key; until then nothing is reconciled");
  else subject.ok(live === undefined ? "absent: built-in defaults are used" : "can be read");
  const presets = snapshot.list(KINDS.LLMInferenceServiceConfig, namespace);
  if (presets.length === 0)
    subject.warn(`no presets in namespace ${namespace}`, "restart the operator, which installs them");
  else subject.ok(`${presets.length} presets in namespace ${namespace}`);
  return subject.findings;
}

function checkGateway(snapshot: Snapshot, namespace: string): Finding[] {
  const { parsed } = configOf(snapshot, namespace);
  if (parsed.kind !== "parsed" || snapshot.unreadable(KINDS.Gateway) !== undefined) return [];
  const { gatewayNamespace: home, gatewayName: name } = parsed.config.ingress;
  const subject = new Subject(`Gateway ${home}/${name}`);
  const gateway = asJson(snapshot.find(KINDS.Gateway, home, name));
  if (gateway === undefined) {
    subject.warn(
      "the default gateway does not exist: services that name none get no route",
      "create it (gateway.create=true of the chart), or set kserveIngressGateway in inferenceservice-config",
    );
    return subject.findings;
  }
  const className = textAt(gateway, "spec", "gatewayClassName") ?? "";
  const gatewayClass = asJson(snapshot.find(KINDS.GatewayClass, undefined, className));
  if (!canRead(snapshot, KINDS.GatewayClass)) return subject.findings;
  if (gatewayClass === undefined)
    subject.fail(`its class ${className} does not exist`, "install a gateway implementation, or correct the class");
  else if (!hasCondition(gatewayClass, "Accepted"))
    subject.fail(
      `its class ${className} is not accepted`,
      `bring its controller up: ${textAt(gatewayClass, "spec", "controllerName")}`,
    );
  if (hasCondition(gateway, "Programmed")) subject.ok(`programmed by class ${className}`);
  else subject.fail("is not programmed", `kubectl -n ${home} describe gateway ${name}`);
  return subject.findings;
}

/** Whether a condition of an object is True. */
export function hasCondition(object: ReturnType<typeof asJson>, type: string): boolean {
  return listAt(object, "status", "conditions").some(
    (entry) => at(entry, "type") === type && at(entry, "status") === "True",
  );
}
