import { describe, expect, test } from "@jest/globals";
import { webhookConfigurations } from "../../../controllers/install.ts";
import { FAULTS } from "../../../controllers/status/faults.ts";
import type { Json, JsonObject } from "../../../crds/schema/types.ts";
import { customResourceDefinitions } from "../../../crds/definitions.ts";
import { KINDS, type Resource, gvkText } from "../../../kube/resources.ts";
import type { KubeObject } from "../../../kube/types.ts";
import { createSelfSigned } from "../../../kube/x509.ts";
import { NAME, NAMESPACE } from "../../../test/fault-objects.ts";
import { SCENARIOS } from "../../../test/fault-scenarios.ts";
import { statusOf } from "../../../test/fault-status.ts";
import { diagnose } from "./doctor.ts";
import type { EndpointView } from "../../../scheduler/datalayer/fleet-report.ts";
import { reportText } from "./findings.ts";
import type { Right } from "./rights.ts";
import type { SchedulerReading, Snapshot } from "./snapshot.ts";

const SYSTEM = "kserve";
const NOW = Date.parse("2026-06-01T00:00:00Z");
const DAY_MS = 24 * 3_600_000;

function snapshotOf(objects: readonly KubeObject[], serverVersion = "v1.34.2"): Snapshot {
  const list = (resource: Resource, namespace?: string): readonly KubeObject[] =>
    objects.filter(
      (object) =>
        gvkText(object) === gvkText(resource) && (namespace === undefined || object.metadata.namespace === namespace),
    );
  return {
    serverVersion,
    nowMs: NOW,
    list,
    find: (resource, namespace, name) => list(resource, namespace).find(({ metadata }) => metadata.name === name),
    unreadable: () => undefined,
    operatorAccount: { namespace: SYSTEM, name: "llmisvc-controller-manager" },
    denied: { asked: 100, rights: [] },
    schedulers: [],
  };
}

const PATCH: Right = { verb: "patch", group: "apps", resource: "deployments", namespace: undefined, name: undefined };
const LEASE: Right = { ...PATCH, verb: "get", group: "coordination.k8s.io", resource: "leases", namespace: SYSTEM };
const endpoint = (pod: string, ageMs: number | null) =>
  ({ pod, ageMs, metricsAddress: "10.0.0.1:8000" }) as unknown as EndpointView;
const reading = (value: SchedulerReading["reading"]): Partial<Snapshot> => ({
  schedulers: [{ namespace: "ml", service: "llama", pod: "llama-epp-1", reading: value }],
});

/** What cannot be seen in objects, and the words that the finding has to have. */
const OTHER_FAULTS: Readonly<Record<string, readonly [change: Partial<Snapshot>, words: RegExp]>> = {
  "a right of the operator missing": [
    { denied: { asked: 100, rights: [PATCH, { ...PATCH, verb: "delete" }, LEASE] } },
    /may not patch\/delete deployments\.apps, get leases\.coordination\.k8s\.io in kserve.*helm upgrade/s,
  ],
  "the operator bound to no role": [
    { denied: { asked: 1, rights: [PATCH] } },
    /may do nothing of what it has to.*kserve-llmisvc-manager-role/s,
  ],
  "no right to ask about the operator's": [{ denied: undefined }, /cannot be asked.*subjectaccessreviews/s],
  "no right to list pods": [
    { unreadable: (resource) => (resource === KINDS.Pod ? "forbidden" : undefined) },
    /pods cannot be listed.*forbidden.*rights to list/s,
  ],
  "metrics port of a scheduler closed": [
    reading({ kind: "failed", cause: "dial tcp 10.0.0.9:9090: i/o timeout" }),
    /llama-epp-1 cannot be read: dial tcp.*NetworkPolicies/s,
  ],
  "scheduler reads no metrics of a pod": [
    reading({ kind: "read", endpoints: [endpoint("llama-1", null), endpoint("llama-2", 60)] }),
    /blind for 1 of 2 endpoints: no fresh metrics from llama-1 \(10\.0\.0\.1:8000\)/,
  ],
  "scheduler knows no endpoint": [reading({ kind: "read", endpoints: [] }), /llama-epp-1 knows no endpoint/],
};

function object(
  resource: Resource,
  namespace: string | undefined,
  name: string,
  more: Record<string, Json> = {},
  labels: Record<string, string> = {},
): KubeObject {
  const { apiVersion, kind } = resource;
  return { apiVersion, kind, metadata: { name, labels, ...(namespace === undefined ? {} : { namespace }) }, ...more };
}

const READY: Json = { conditions: [{ type: "Ready", status: "True" }] };
const PROGRAMMED: Json = { conditions: [{ type: "Programmed", status: "True" }] };
const authority = (notAfterMs: number): string =>
  createSelfSigned({
    organization: "test",
    dnsNames: ["webhooks"],
    ipAddresses: [],
    notBefore: new Date(NOW - 300 * DAY_MS),
    notAfter: new Date(notAfterMs),
  }).certificate;

const slice = (namespace: string, service: string, ready: boolean): KubeObject =>
  object(
    KINDS.EndpointSlice,
    namespace,
    `${service}-1`,
    { endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready } }] },
    { "kubernetes.io/service-name": service },
  );

/** Definitions with the conversion stanza that the operator adds. */
const definitions = (): KubeObject[] =>
  customResourceDefinitions().map((definition) => {
    const spec = definition["spec"] as JsonObject;
    return { ...definition, spec: { ...spec, conversion: { strategy: "Webhook" } } } as unknown as KubeObject;
  });

/** Where each part of a healthy cluster can be replaced or left out. */
type Parts = Readonly<Record<string, readonly KubeObject[]>>;

const healthy = (): Parts => ({
  definitions: [
    ...definitions(),
    object(KINDS.CustomResourceDefinition, undefined, "httproutes.gateway.networking.k8s.io"),
    object(KINDS.CustomResourceDefinition, undefined, "inferencepools.inference.networking.k8s.io"),
  ],
  operator: [
    object(
      KINDS.Deployment,
      SYSTEM,
      "llmisvc-controller-manager",
      { status: { availableReplicas: 1 } },
      { "control-plane": "llmisvc-controller-manager" },
    ),
  ],
  endpoints: [slice(SYSTEM, "llmisvc-webhook-server-service", true)],
  webhooks: webhookConfigurations({
    systemNamespace: SYSTEM,
    authority: authority(NOW + 100 * DAY_MS),
    presets: [],
  }),
  presets: [object(KINDS.LLMInferenceServiceConfig, SYSTEM, "kserve-config-llm-scheduler")],
  gateway: [
    object(KINDS.Gateway, SYSTEM, "kserve-ingress-gateway", {
      spec: { gatewayClassName: "envoy" },
      status: PROGRAMMED,
    }),
  ],
  gatewayClass: [
    object(KINDS.GatewayClass, undefined, "envoy", {
      status: { conditions: [{ type: "Accepted", status: "True" }] },
    }),
  ],
  service: [
    object(KINDS.LLMInferenceService, "ml", "llama", {
      spec: { router: { route: {}, scheduler: {} } },
      status: { ...(READY as JsonObject), url: "http://gateway/ml/llama" },
    }),
  ],
  pool: [
    object(KINDS.InferencePool, "ml", "llama-inference-pool", {
      spec: {
        selector: { matchLabels: { app: "llama" } },
        targetPorts: [{ number: 8000 }],
        endpointPickerRef: { name: "llama-epp-service", port: { number: 9002 }, failureMode: "FailOpen" },
      },
    }),
  ],
  pods: [
    object(
      KINDS.Pod,
      "ml",
      "llama-1",
      { spec: { containers: [{ name: "main", ports: [{ containerPort: 8000 }] }] }, status: READY },
      { app: "llama" },
    ),
  ],
  picker: [object(KINDS.Service, "ml", "llama-epp-service", { spec: { ports: [{ port: 9002 }] } })],
  pickerEndpoints: [slice("ml", "llama-epp-service", true)],
  scheduler: [
    scheduler(
      "plugins: [{type: queue-scorer}]\nschedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]",
    ),
  ],
});

function scheduler(config: string): KubeObject {
  const container = {
    name: "main",
    args: ["--config-text", `apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n${config}`],
  };
  return object(KINDS.Deployment, "ml", "llama-kserve-router-scheduler", {
    spec: { template: { spec: { containers: [container] } } },
  });
}

const findingsOf = (parts: Parts) => diagnose(snapshotOf(Object.values(parts).flat()), SYSTEM, []);

/** Changes to a healthy cluster, and the words that the finding has to have. */
const CLUSTER_FAULTS: Readonly<Record<string, readonly [change: (parts: Parts) => Parts, words: RegExp]>> = {
  "definitions not installed": [(parts) => ({ ...parts, definitions: [] }), /not installed.*crds\.install=true/s],
  "Gateway API not installed": [
    (parts) => ({ ...parts, definitions: definitions() }),
    /httproutes\.gateway\.networking\.k8s\.io, which is not installed.*Gateway API/s,
  ],
  "no conversion webhook": [
    (parts) => ({ ...parts, definitions: customResourceDefinitions() as unknown as KubeObject[] }),
    /no conversion webhook/,
  ],
  "operator not installed": [(parts) => ({ ...parts, operator: [] }), /no Deployment labelled.*install the chart/s],
  "operator down": [
    (parts) => ({ ...parts, operator: parts["operator"]!.map((deployment) => ({ ...deployment, status: {} })) }),
    /no available pod.*describe pods/s,
  ],
  "webhooks not registered": [(parts) => ({ ...parts, webhooks: [] }), /none is registered/],
  "webhook without endpoints": [
    (parts) => ({ ...parts, endpoints: [slice(SYSTEM, "llmisvc-webhook-server-service", false)] }),
    /no ready endpoint, so kubectl apply/,
  ],
  "webhook certificate expired": [
    (parts) => ({
      ...parts,
      webhooks: webhookConfigurations({ systemNamespace: SYSTEM, authority: authority(NOW - DAY_MS), presets: [] }),
    }),
    /certificate expired at 2026-05-31/,
  ],
  "configuration of the operator broken": [
    (parts) => ({
      ...parts,
      config: [object(KINDS.ConfigMap, SYSTEM, "inferenceservice-config", { data: { ingress: "{" } })],
    }),
    /ingress.*nothing is reconciled/s,
  ],
  "presets missing": [(parts) => ({ ...parts, presets: [] }), /no presets/],
  "default gateway missing": [
    (parts) => ({ ...parts, gateway: [] }),
    /default gateway does not exist.*gateway\.create/s,
  ],
  "gateway class missing": [(parts) => ({ ...parts, gatewayClass: [] }), /class envoy does not exist/],
  "gateway not programmed": [
    (parts) => ({ ...parts, gateway: parts["gateway"]!.map((gateway) => ({ ...gateway, status: {} })) }),
    /is not programmed/,
  ],
  "pool selects no pod": [(parts) => ({ ...parts, pods: [] }), /blind: its selector matches no pod/],
  "no pod of the pool is ready": [
    (parts) => ({ ...parts, pods: parts["pods"]!.map((pod) => ({ ...pod, status: {} })) }),
    /no ready pod among 1/,
  ],
  "pool sends to another port": [
    (parts) => ({
      ...parts,
      pods: parts["pods"]!.map((pod) => ({ ...pod, spec: { containers: [{ ports: [{ containerPort: 80 }] }] } })),
    }),
    /port 8000, which no container/,
  ],
  "endpoint picker missing": [(parts) => ({ ...parts, picker: [] }), /llama-epp-service, which does not exist/],
  "endpoint picker on another port": [
    (parts) => ({
      ...parts,
      picker: [object(KINDS.Service, "ml", "llama-epp-service", { spec: { ports: [{ port: 80 }] } })],
    }),
    /no port 9002/,
  ],
  "endpoint picker down": [
    (parts) => ({ ...parts, pickerEndpoints: [] }),
    /no ready endpoint: pods are picked at random/,
  ],
  "scheduler configuration broken": [
    (parts) => ({ ...parts, scheduler: [scheduler("plugins: [{type: queue-scorr}]")] }),
    /scheduler configuration: .*queue-scorer/s,
  ],
  "status out of date": [
    (parts) => ({
      ...parts,
      service: parts["service"]!.map((service) => ({ ...service, metadata: { ...service.metadata, generation: 3 } })),
    }),
    /has not looked at generation 3/,
  ],
};

/** What the operator says where it knows more than the fault. */
const OWN_REMEDY = /: do what the message says$/;

describe("doctor", () => {
  test("finds nothing wrong in a healthy cluster", () => {
    const text = reportText(findingsOf(healthy()));
    expect(text).toMatch(/\n0 errors, 0 warnings, \d+ checks passed\n$/);
    expect(text).not.toContain("→");
  });

  test.each(Object.entries(CLUSTER_FAULTS))("%s", (_what, [change, words]) => {
    const bad = findingsOf(change(healthy())).filter(({ level }) => level !== "ok");
    expect(reportText(bad)).toMatch(words);
    expect(bad.every(({ remedy }) => (remedy ?? "") !== "")).toBe(true);
  });

  test.each(Object.entries(OTHER_FAULTS))("%s", (_what, [change, words]) => {
    const snapshot = { ...snapshotOf(Object.values(healthy()).flat()), ...change };
    const bad = diagnose(snapshot, SYSTEM, []).filter(({ level }) => level !== "ok");
    expect(reportText(bad)).toMatch(words);
    expect(bad).toHaveLength(1);
  });

  test("what cannot be read is not called missing", () => {
    const snapshot = { ...snapshotOf([]), unreadable: () => "forbidden" };
    const errors = diagnose(snapshot, SYSTEM, []).filter(({ level }) => level === "error");
    expect(reportText(errors)).not.toMatch(/not installed|no Deployment|none is registered/);
  });

  test.each(Object.entries(SCENARIOS))("tells from the status: %s", (_what, scenario) => {
    const service = object(KINDS.LLMInferenceService, NAMESPACE, NAME, {
      spec: scenario.spec ?? {},
      status: statusOf(scenario),
    });
    const findings = diagnose(snapshotOf([service]), SYSTEM, [NAME]);
    const named = findings
      .map(({ cause, remedy = "" }) => `${cause}: ${remedy}`)
      .filter((text) => scenario.words.every((word) => text.includes(word)));
    expect({ findings, named: named.length > 0 }).toMatchObject({ named: true });
    // A remedy of its own in the message is better than the general one.
    expect(named.some((text) => text.includes(FAULTS[scenario.fault].remedy) || OWN_REMEDY.test(text))).toBe(true);
  });

  test("says when a service does not exist", () => {
    const text = reportText(diagnose(snapshotOf([]), SYSTEM, ["lama"]));
    expect(text).toMatch(/LLMInferenceService lama\n {2}✗ does not exist/);
  });

  test("names an old Kubernetes", () => {
    expect(reportText(diagnose(snapshotOf([], "v1.25.0"), SYSTEM, []))).toMatch(/v1\.25\.0 is older than v1\.29/);
  });
});
