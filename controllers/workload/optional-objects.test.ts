import { describe, expect, test } from "@jest/globals";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { WITH_TLS, exampleCluster, run } from "../../test/examples.ts";
import { gateway } from "../../test/settled.ts";
import { listAt, objectAt } from "../../crds/json.ts";
import { ObjectView } from "../preview/object-view.ts";

const MODEL = { uri: "hf://a/b", name: "m" };
const ROUTED: JsonObject = { scheduler: {}, route: {}, gateway: {} };
const ASKED = { optionalObjects: { disruptionBudgets: true, monitors: true } };
const OPTIONAL = /^(PodDisruptionBudget|PodMonitor|ServiceMonitor|DestinationRule) /;

describe("objects made on request", () => {
  test("none unless asked for", () => {
    const { names } = run({ name: "s", spec: { model: MODEL, router: ROUTED } });
    expect(names.filter((name) => OPTIONAL.test(name))).toEqual([]);
  });

  test("budgets and monitors of every part", () => {
    const { names, child } = run({ name: "s", spec: { model: MODEL, prefill: {}, router: ROUTED }, global: ASKED });
    expect(names.filter((name) => OPTIONAL.test(name))).toEqual([
      "PodDisruptionBudget s-kserve",
      "PodDisruptionBudget s-kserve-prefill",
      "PodDisruptionBudget s-kserve-router-scheduler",
      "PodMonitor s-kserve",
      "PodMonitor s-kserve-prefill",
      "ServiceMonitor s-kserve-router-scheduler",
    ]);
    const pods = objectAt(child("Deployment", "s-kserve"), "spec", "selector");
    expect(child("PodDisruptionBudget", "s-kserve")["spec"]).toEqual({ maxUnavailable: 1, selector: pods });
    expect(listAt(child("PodMonitor", "s-kserve"), "spec", "podMetricsEndpoints")).toEqual([
      { path: "/metrics", portNumber: 8001, scheme: "http" },
    ]);
    expect(listAt(child("PodMonitor", "s-kserve-prefill"), "spec", "podMetricsEndpoints")).toMatchObject([
      { portNumber: 8000 },
    ]);
  });
});

describe("DestinationRules", () => {
  const istio = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GatewayClass",
    metadata: { name: "class" },
    spec: { controllerName: "istio.io/gateway-controller" },
  } as unknown as KubeObject;
  const spec = { model: MODEL, router: ROUTED };
  const rules = (names: readonly string[]): string[] => names.filter((name) => name.startsWith("DestinationRule"));

  test("tell an Istio gateway that the scheduler speaks TLS", () => {
    const { names, child } = run({ name: "s", spec, objects: [istio] });
    expect(rules(names)).toEqual(["DestinationRule s-epp-service"]);
    expect(child("DestinationRule", "s-epp-service")["spec"]).toEqual({
      host: "s-epp-service.ns1.svc.cluster.local",
      trafficPolicy: { tls: { mode: "SIMPLE", insecureSkipVerify: true } },
    });
  });

  test("with TLS on, that the model servers do too", () => {
    const shadow = {
      apiVersion: "v1",
      kind: "Service",
      metadata: {
        namespace: "ns1",
        name: "s-inference-pool-ip-1",
        labels: { "istio.io/inferencepool-name": "s-inference-pool" },
      },
    } as KubeObject;
    const { names } = run({ name: "s", spec, objects: [istio, shadow], global: WITH_TLS });
    expect(rules(names)).toEqual([
      "DestinationRule s-epp-service",
      "DestinationRule s-inference-pool-ip-1",
      "DestinationRule s-kserve-workload-svc",
    ]);
  });

  test("are not made for other gateways", () => {
    const other = gateway("kserve", "kserve-ingress-gateway");
    expect(rules(run({ name: "s", spec, objects: [other] }).names)).toEqual([]);
  });
});

describe("BackendTLSPolicies", () => {
  const spec = { model: MODEL, router: ROUTED };
  const policies = (names: readonly string[]): string[] =>
    names.filter((name) => /^(BackendTLSPolicy|ConfigMap) /.test(name));

  test("tell a gateway whose certificate the model servers have, where TLS is on", () => {
    const { names, child } = run({ name: "s", spec, global: WITH_TLS });
    expect(policies(names)).toEqual(["BackendTLSPolicy s-kserve-workload-svc", "ConfigMap s-kserve-workload-svc"]);
    expect(child("ConfigMap", "s-kserve-workload-svc")["data"]).toEqual({ "ca.crt": "authority" });
    expect(child("BackendTLSPolicy", "s-kserve-workload-svc")["spec"]).toEqual({
      targetRefs: [{ group: "", kind: "Service", name: "s-kserve-workload-svc" }],
      validation: {
        caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "s-kserve-workload-svc" }],
        hostname: "s-kserve-workload-svc.ns1.svc.cluster.local",
      },
    });
  });

  test("none without TLS, without a route, or where the policy is not served", () => {
    expect(policies(run({ name: "s", spec }).names)).toEqual([]);
    expect(policies(run({ name: "s", spec: { model: MODEL }, global: WITH_TLS }).names)).toEqual([]);
    const cluster = new ObjectView(exampleCluster("ns1").objects, [KINDS.BackendTLSPolicy]);
    expect(policies(run({ name: "s", spec, global: WITH_TLS, cluster }).names)).toEqual([]);
  });
});
