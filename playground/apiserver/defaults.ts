import type { Json, JsonObject } from "../../crds/schema/types.ts";
import type { ServedKind } from "./kinds.ts";
import { at, ensureMeta, ensureObject, isObject, listOf, nameOf, objectOf, textOf } from "./objects.ts";

/** Sets a field that is absent. */
function fill(object: JsonObject, values: JsonObject): void {
  for (const [key, value] of Object.entries(values)) object[key] ??= structuredClone(value);
}

const eachObject = (list: Json | undefined, visit: (item: JsonObject) => void): void => {
  for (const item of listOf(list)) if (isObject(item)) visit(item);
};

function defaultProbe(probe: Json | undefined): void {
  if (!isObject(probe)) return;
  fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
  if (isObject(probe["httpGet"])) fill(probe["httpGet"], { path: "/", scheme: "HTTP" });
  if (isObject(probe["grpc"])) fill(probe["grpc"], { service: "" });
}

/** `Always` for the latest tag and for none, as Kubernetes decides it. */
function pullPolicy(image: string): string {
  if (image.includes("@")) return "IfNotPresent";
  const tag = /:([^:/]+)$/.exec(image)?.[1] ?? "latest";
  return tag === "latest" ? "Always" : "IfNotPresent";
}

function defaultContainer(container: JsonObject): void {
  fill(container, {
    imagePullPolicy: pullPolicy(textOf(container["image"])),
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    resources: {},
  });
  eachObject(container["ports"], (port) => fill(port, { protocol: "TCP" }));
  eachObject(container["env"], (variable) => {
    const reference = at(variable, "valueFrom", "fieldRef");
    if (isObject(reference)) fill(reference, { apiVersion: "v1" });
  });
  for (const probe of ["livenessProbe", "readinessProbe", "startupProbe"]) defaultProbe(container[probe]);
}

/** Requests follow limits in pods, though not in templates of pods. */
function defaultRequests(container: JsonObject): void {
  const limits = objectOf(at(container, "resources", "limits"));
  if (Object.keys(limits).length > 0) fill(ensureObject(objectOf(container["resources"]), "requests"), limits);
}

function defaultVolume(volume: JsonObject): void {
  for (const kind of ["configMap", "secret", "projected", "downwardAPI"]) {
    const source = volume[kind];
    if (isObject(source)) fill(source, { defaultMode: 420 });
  }
  if (Object.keys(volume).length === 1) volume["emptyDir"] = {};
}

/** Defaults of a PodSpec (core v1). */
function defaultPodSpec(spec: JsonObject): void {
  fill(spec, {
    restartPolicy: "Always",
    dnsPolicy: "ClusterFirst",
    terminationGracePeriodSeconds: 30,
    schedulerName: "default-scheduler",
    securityContext: {},
  });
  if (textOf(spec["serviceAccountName"]) !== "") fill(spec, { serviceAccount: spec["serviceAccountName"]! });
  eachObject(spec["initContainers"], defaultContainer);
  eachObject(spec["containers"], defaultContainer);
  eachObject(spec["volumes"], defaultVolume);
}

function defaultTemplate(object: JsonObject): void {
  const template = at(object, "spec", "template");
  if (isObject(template)) defaultPodSpec(ensureObject(template, "spec"));
}

function defaultDeployment(object: JsonObject): void {
  const spec = ensureObject(object, "spec");
  ensureObject(object, "status");
  fill(spec, {
    replicas: 1,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    strategy: { type: "RollingUpdate" },
  });
  const strategy = ensureObject(spec, "strategy");
  fill(strategy, { type: "RollingUpdate" });
  if (strategy["type"] === "RollingUpdate")
    fill(ensureObject(strategy, "rollingUpdate"), { maxUnavailable: "25%", maxSurge: "25%" });
  defaultTemplate(object);
}

function defaultService(object: JsonObject): void {
  const spec = ensureObject(object, "spec");
  fill(ensureObject(object, "status"), { loadBalancer: {} });
  fill(spec, { type: "ClusterIP", sessionAffinity: "None" });
  eachObject(spec["ports"], (port) => fill(port, { protocol: "TCP", targetPort: port["port"] ?? 0 }));
  if (listOf(spec["ports"]).length === 0) delete spec["ports"];
  if (spec["sessionAffinity"] !== "ClientIP") delete spec["sessionAffinityConfig"];
  else fill(spec, { sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } });
  if (spec["type"] === "ExternalName") return;
  fill(spec, { internalTrafficPolicy: "Cluster" });
}

/** Empty maps are not encoded. */
function dropEmptyData(object: JsonObject): void {
  for (const field of ["data", "binaryData", "stringData"]) {
    const value = object[field];
    if (value === null || (isObject(value) && Object.keys(value).length === 0)) delete object[field];
  }
}

function defaultSecret(object: JsonObject): void {
  dropEmptyData(object);
  fill(object, { type: "Opaque" });
  const text = object["stringData"];
  if (!isObject(text)) return;
  const data = ensureObject(object, "data");
  for (const [key, value] of Object.entries(text)) data[key] = Buffer.from(textOf(value)).toString("base64");
  delete object["stringData"];
}

function defaultNamespace(object: JsonObject): void {
  fill(ensureObject(object, "spec"), { finalizers: ["kubernetes"] });
  fill(ensureObject(object, "status"), { phase: "Active" });
  ensureObject(ensureMeta(object), "labels")["kubernetes.io/metadata.name"] = nameOf(object);
}

function defaultWebhooks(object: JsonObject): void {
  const mutating = object["kind"] === "MutatingWebhookConfiguration";
  eachObject(object["webhooks"], (webhook) => {
    fill(webhook, {
      failurePolicy: "Fail",
      matchPolicy: "Equivalent",
      namespaceSelector: {},
      objectSelector: {},
      timeoutSeconds: 10,
    });
    if (mutating) fill(webhook, { reinvocationPolicy: "Never" });
    const service = at(webhook, "clientConfig", "service");
    if (isObject(service)) fill(service, { port: 443 });
    eachObject(webhook["rules"], (rule) => fill(rule, { scope: "*" }));
  });
}

function defaultBinding(object: JsonObject): void {
  fill(ensureObject(object, "roleRef"), { apiGroup: "rbac.authorization.k8s.io" });
  eachObject(object["subjects"], (subject) => {
    if (subject["kind"] !== "ServiceAccount") fill(subject, { apiGroup: "rbac.authorization.k8s.io" });
  });
}

/** The encoding does not tell an empty list from none, and the field is always written. */
function defaultRole(object: JsonObject): void {
  if (listOf(object["rules"]).length === 0) object["rules"] = null;
}

function defaultDefinition(object: JsonObject): void {
  const spec = ensureObject(object, "spec");
  const names = ensureObject(spec, "names");
  fill(names, { singular: textOf(names["kind"]).toLowerCase(), listKind: `${textOf(names["kind"])}List` });
  fill(spec, { conversion: { strategy: "None" } });
}

const DEFAULTS: Readonly<Record<string, (object: JsonObject) => void>> = {
  "/pods": (object) => {
    const spec = ensureObject(object, "spec");
    defaultPodSpec(spec);
    for (const list of ["initContainers", "containers"]) eachObject(spec[list], defaultRequests);
    fill(spec, { enableServiceLinks: true });
  },
  "/services": defaultService,
  "/secrets": defaultSecret,
  "/configmaps": dropEmptyData,
  "/namespaces": defaultNamespace,
  "apps/deployments": defaultDeployment,
  "apps/replicasets": (object) => {
    fill(ensureObject(object, "spec"), { replicas: 1 });
    defaultTemplate(object);
  },
  "apps/statefulsets": (object) => {
    fill(ensureObject(object, "spec"), {
      replicas: 1,
      revisionHistoryLimit: 10,
      podManagementPolicy: "OrderedReady",
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
    });
    defaultTemplate(object);
  },
  "coordination.k8s.io/leases": (object) => void ensureObject(object, "spec"),
  "rbac.authorization.k8s.io/roles": defaultRole,
  "rbac.authorization.k8s.io/clusterroles": defaultRole,
  "rbac.authorization.k8s.io/rolebindings": defaultBinding,
  "rbac.authorization.k8s.io/clusterrolebindings": defaultBinding,
  "admissionregistration.k8s.io/mutatingwebhookconfigurations": defaultWebhooks,
  "admissionregistration.k8s.io/validatingwebhookconfigurations": defaultWebhooks,
  "apiextensions.k8s.io/customresourcedefinitions": defaultDefinition,
};

/** Taints of nodes that are not there for a while, which pods stay for by default. */
const TOLERATED = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/** What the admission plugins of Kubernetes set in a new object; nobody owns it. */
export function admitBuiltin(kind: ServedKind, object: JsonObject): void {
  if (kind.storage !== "/pods") return;
  const spec = ensureObject(object, "spec");
  fill(spec, {
    serviceAccountName: "default",
    serviceAccount: spec["serviceAccountName"] ?? "default",
    priority: 0,
    preemptionPolicy: "PreemptLowerPriority",
  });
  fill(ensureObject(object, "status"), { phase: "Pending", qosClass: "BestEffort" });
  const tolerations = listOf(spec["tolerations"]);
  const missing = TOLERATED.filter((key) => !tolerations.some((item) => at(item, "key") === key));
  const added = missing.map((key) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 }));
  spec["tolerations"] = [...tolerations, ...added];
}

/** A new object before anything is set: what its encoding holds always counts as there, and is owned by nobody. */
export function zeroOf(kind: ServedKind): JsonObject {
  if (kind.conversion !== undefined) return { metadata: {} };
  const template = { metadata: {}, spec: { containers: [] } };
  const spec = { template, containers: [], strategy: {}, updateStrategy: {} };
  return { metadata: {}, spec, status: { loadBalancer: {} }, roleRef: {} };
}

/** Fills what Kubernetes fills for a kind: the schema's defaults, and for built-in kinds those that depend on other fields. */
export function applyDefaults(kind: ServedKind, object: JsonObject): void {
  kind.structural.applyDefaults(object);
  DEFAULTS[kind.storage]?.(object);
}
