import { describe, expect, test } from "@jest/globals";
import { ObjectView } from "../preview/object-view.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import {
  type Outcome,
  WITH_TLS,
  conditionsOf,
  containerOf,
  exampleCluster,
  namesOf,
  podOf,
  run,
} from "../../test/examples.ts";
import { backends, rulesOf } from "../../test/route-rules.ts";
import { gateway } from "../../test/settled.ts";
import { isObject, listAt, objectAt, textAt } from "../../crds/json.ts";
import { stringsOf } from "../json-edit.ts";

const MODEL = { uri: "hf://meta-llama/Llama-3.1-8B-Instruct", name: "meta-llama/Llama-3.1-8B-Instruct" };
const ALL: JsonObject = { gateway: {}, route: {}, scheduler: {} };

function gatewayAt(
  address: string,
  more: JsonObject = {},
  name = "kserve-ingress-gateway",
  namespace = "kserve",
): KubeObject {
  const base = gateway(namespace, name) as unknown as JsonObject;
  const status = { addresses: [{ type: "IPAddress", value: address }], ...objectAt(more["status"]) };
  const conditions = [{ type: "Programmed", status: "True" }];
  return { ...base, ...more, status: { conditions, ...status } } as unknown as KubeObject;
}

const urls = (status: JsonObject): string[] =>
  listAt(status, "addresses").map((address) => `${textAt(address, "name")} ${textAt(address, "url")}`);
const schedulerConfig = (outcome: Outcome, name: string): JsonObject => {
  const args = stringsOf(containerOf(podOf(outcome.child("Deployment", `${name}-kserve-router-scheduler`)))["args"]);
  const config = parseYaml(args.at(-1) ?? "");
  if (!isObject(config)) throw new Error("no configuration");
  return config;
};

describe("worked examples of routing", () => {
  test("quick start", () => {
    const outcome = run({
      namespace: "ml",
      name: "llama",
      spec: { model: MODEL, router: ALL },
      objects: [gatewayAt("203.0.113.10")],
    });
    expect(outcome.names).toEqual([
      "ClusterRoleBinding ml-llama-epp-auth-rb",
      "Deployment llama-kserve",
      "Deployment llama-kserve-router-scheduler",
      "HTTPRoute llama-kserve-route",
      "InferencePool llama-inference-pool",
      "Role llama-epp-role",
      "RoleBinding llama-epp-rb",
      "Secret llama-kserve-self-signed-certs",
      "Service llama-epp-service",
      "Service llama-kserve-workload-svc",
      "ServiceAccount llama-epp-sa",
    ]);
    const rules = rulesOf(outcome, "llama");
    expect(namesOf([...rules])).toEqual([
      "v1-completions-path",
      "v1-chat-completions-path",
      "v1-responses-path",
      "v1-messages-path",
      "v1-model-routing",
      "v1-completions-publisher-path",
      "v1-chat-completions-publisher-path",
      "v1-responses-publisher-path",
      "v1-messages-publisher-path",
      "v1-publisher-path-catch-all",
      "v1-catch-all-path",
      "v1-catch-all-model-routing",
    ]);
    expect(backends(rules[0])).toEqual(["InferencePool inference.networking.k8s.io/llama-inference-pool:8000 w1"]);
    expect(backends(rules.at(-1))).toEqual(["Service /llama-kserve-workload-svc:8000 w1"]);
    expect(rules[0]).toMatchObject({
      timeouts: { request: "0s", backendRequest: "0s" },
      filters: [
        {
          type: "URLRewrite",
          urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/v1/completions" } },
        },
      ],
    });
    expect(outcome.status["url"]).toBe("http://203.0.113.10/ml/llama");
    expect(urls(outcome.status)).toEqual([
      "gateway-external-model-routing http://203.0.113.10/",
      "gateway-external http://203.0.113.10/ml/llama",
      "gateway-external http://203.0.113.10/publishers/ml/models/meta-llama/Llama-3.1-8B-Instruct",
    ]);
    expect(outcome.status["router"]).toMatchObject({
      gateways: [{ name: "kserve-ingress-gateway", namespace: "kserve", httpRoutes: [{ name: "llama-kserve-route" }] }],
      scheduler: { inferencePool: { name: "llama-inference-pool" }, service: { name: "llama-epp-service" } },
    });
    expect(conditionsOf(outcome.status)).toEqual([
      "HTTPRoutesReady: False HTTPRoutesNotReady",
      "InferencePoolReady: False WaitingForGateway",
      "MainWorkloadReady: False Progressing",
      "PresetsCombined: True",
      "Ready: False Progressing",
      "RouterReady: False HTTPRoutesNotReady",
      "SchedulerWorkloadReady: False Progressing",
      "WorkloadsReady: False Progressing",
    ]);
  });

  test("no scheduler: every rule ends at the workload Service", () => {
    const outcome = run({ name: "llama", spec: { model: MODEL, router: { gateway: {}, route: {} } } });
    expect(new Set(rulesOf(outcome, "llama").flatMap(backends))).toEqual(
      new Set(["Service /llama-kserve-workload-svc:8000 w1"]),
    );
    expect(outcome.names.filter((name) => /epp|Pool/.test(name))).toEqual([]);
    expect(outcome.status["router"]).not.toHaveProperty("scheduler");
  });

  test("no router: an address that can be dialled", () => {
    const { names, status } = run({ namespace: "ml", name: "llama", spec: { model: MODEL } });
    expect(names).toHaveLength(3);
    expect(urls(status)).toEqual(["service-internal http://llama-kserve-workload-svc.ml.svc.cluster.local:8000"]);
    expect(conditionsOf(status)).toContain("RouterReady: True");
  });

  test("prefill and decode behind a TLS gateway's own listener", () => {
    const listeners = [
      { name: "http", port: 80, protocol: "HTTP" },
      { name: "https", port: 443, protocol: "HTTPS", hostname: "*.llm.example.com" },
    ];
    const edge = gatewayAt(
      "198.51.100.7",
      {
        spec: { gatewayClassName: "class", listeners },
        status: { conditions: [{ type: "Programmed", status: "False", reason: "Pending" }] },
      },
      "edge",
      "infra",
    );
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: {
        namespace: "infra",
        name: "edge-istio",
        labels: { "gateway.networking.k8s.io/gateway-name": "edge" },
      },
      spec: { ports: [{ port: 80 }, { port: 443 }, { port: 15021 }] },
    } as KubeObject;
    const outcome = run({
      namespace: "ml",
      name: "llama",
      global: WITH_TLS,
      objects: [edge, service],
      spec: {
        model: MODEL,
        replicas: 1,
        prefill: { replicas: 2 },
        router: {
          gateway: { refs: [{ name: "edge", namespace: "infra", sectionName: "https" }] },
          route: {},
          scheduler: { replicas: 2 },
        },
      },
    });
    const scheduler = outcome.child("Deployment", "llama-kserve-router-scheduler");
    expect(scheduler).toMatchObject({ spec: { replicas: 2 } });
    const main = containerOf(podOf(scheduler));
    expect(stringsOf(main["args"]).slice(0, 2)).toEqual(["--ha-enable-leader-election", "--config-text"]);
    expect(stringsOf(main["command"]).join(" ")).toContain("--secure-serving=true");
    expect(stringsOf(main["command"]).join(" ")).not.toContain("--model-server-metrics-scheme");
    expect(listAt(schedulerConfig(outcome, "llama"), "plugins").at(-1)).toEqual({
      type: "metrics-data-source",
      parameters: { scheme: "https" },
    });
    expect(listAt(outcome.child("HTTPRoute", "llama-kserve-route"), "spec", "parentRefs")).toEqual([
      { group: "gateway.networking.k8s.io", kind: "Gateway", name: "edge", namespace: "infra", sectionName: "https" },
    ]);
    expect(listAt(outcome.status, "addresses")).toHaveLength(6);
    expect(outcome.status["url"]).toBe("https://inference.llm.example.com/ml/llama");
    expect(urls(outcome.status)).toContain("gateway-internal https://edge-istio.infra.svc.cluster.local/ml/llama");
    expect(objectAt(outcome.status, "router")).toMatchObject({ gateways: [{ listeners: ["https"] }] });
    expect(conditionsOf(outcome.status)).toEqual(
      expect.arrayContaining(["GatewaysReady: False GatewaysNotReady", "RouterReady: False GatewaysNotReady"]),
    );
  });

  test("a pool and a route that exist already", () => {
    const accepted = [
      { type: "Accepted", status: "True" },
      { type: "ResolvedRefs", status: "True" },
    ];
    const parentRef = { name: "edge", namespace: "infra" };
    const parents = [{ parentRef, conditions: accepted }];
    const route = {
      apiVersion: KINDS.HTTPRoute.apiVersion,
      kind: "HTTPRoute",
      metadata: { namespace: "ml", name: "my-route" },
      spec: {
        parentRefs: [parentRef],
        hostnames: ["chat.example.com"],
        rules: [
          {
            matches: [{ path: { type: "PathPrefix", value: "/v1" } }],
            backendRefs: [{ group: "inference.networking.k8s.io", kind: "InferencePool", name: "my-pool" }],
          },
        ],
      },
      status: { parents },
    } as unknown as KubeObject;
    const pool = {
      apiVersion: KINDS.InferencePool.apiVersion,
      kind: "InferencePool",
      metadata: { namespace: "ml", name: "my-pool" },
      spec: { endpointPickerRef: { name: "their-picker" } },
      status: { parents },
    } as unknown as KubeObject;
    const { names, status } = run({
      namespace: "ml",
      name: "llama",
      objects: [route, pool, gatewayAt("198.51.100.7", {}, "edge", "infra")],
      spec: {
        model: MODEL,
        router: {
          route: { http: { refs: [{ name: "my-route" }] } },
          scheduler: { pool: { ref: { name: "my-pool" } } },
        },
      },
    });
    expect(names).toHaveLength(3);
    expect(status["url"]).toBe("http://chat.example.com/v1");
    expect(conditionsOf(status)).toEqual(expect.arrayContaining(["HTTPRoutesReady: True", "InferencePoolReady: True"]));
    expect(conditionsOf(status).join()).not.toMatch(/SchedulerWorkloadReady|GatewaysReady/);
    expect(objectAt(status, "router", "scheduler")).toMatchObject({
      inferencePool: { name: "my-pool" },
      service: { name: "their-picker" },
    });
  });

  test("a missing Gateway keeps the router from being made, not the workload", () => {
    const { names, status } = run({
      namespace: "ml",
      name: "llama",
      spec: { model: MODEL, router: { gateway: { refs: [{ name: "nope" }] }, route: {}, scheduler: {} } },
    });
    expect(names).toEqual([
      "Deployment llama-kserve",
      "Secret llama-kserve-self-signed-certs",
      "Service llama-kserve-workload-svc",
    ]);
    const found = listAt(status, "conditions").find((condition) => textAt(condition, "type") === "GatewaysReady");
    expect(found).toMatchObject({ reason: "RefsInvalid" });
    expect(textAt(found, "message")).toContain("Gateway ml/nope does not exist");
  });

  test("hostnames alone keep the preset's rules", () => {
    const outcome = run({
      namespace: "ml",
      name: "llama",
      spec: { model: MODEL, router: { ...ALL, route: { http: { spec: { hostnames: ["llama.example.com"] } } } } },
    });
    expect(rulesOf(outcome, "llama")).toHaveLength(12);
    expect(outcome.status["url"]).toBe("http://llama.example.com/ml/llama");
  });

  test("a gateway that refuses the v1 pool gets the older twin, for good", () => {
    const cluster = exampleCluster("ml");
    const example = { namespace: "ml", name: "llama", spec: { model: MODEL, router: ALL }, cluster };
    const first = run(example);
    const route = first.child("HTTPRoute", "llama-kserve-route");
    const refused = [{ type: "ResolvedRefs", status: "False", reason: "InvalidKind" }];
    const parents = [{ parentRef: { name: "kserve-ingress-gateway", namespace: "kserve" }, conditions: refused }];
    cluster.put({ ...route, status: { parents } } as unknown as KubeObject);
    const second = run(example);
    expect(backends(rulesOf(second, "llama")[0])).toEqual([
      "InferencePool inference.networking.x-k8s.io/llama-inference-pool:8000 w1",
    ]);
    expect(second.settled.plan.children.filter(({ kind }) => kind === "InferencePool")).toHaveLength(2);
    expect(backends(rulesOf(run(example), "llama")[0])).toEqual(backends(rulesOf(second, "llama")[0]));
  });

  test("a cluster with the older pool API alone", () => {
    const objects = exampleCluster("ml").objects;
    const cluster = new ObjectView(objects, [KINDS.InferencePool]);
    const outcome = run({ namespace: "ml", name: "llama", spec: { model: MODEL, prefill: {}, router: ALL }, cluster });
    expect(outcome.child("InferencePool", "llama-inference-pool")).toMatchObject({
      apiVersion: "inference.networking.x-k8s.io/v1alpha2",
      spec: {
        targetPortNumber: 8000,
        extensionRef: { kind: "Service", name: "llama-epp-service", portNumber: 9002, failureMode: "FailOpen" },
      },
    });
    const sidecar = containerOf(podOf(outcome.child("Deployment", "llama-kserve")), "llm-d-routing-sidecar");
    expect(sidecar["command"]).toContain("--pool-group=inference.networking.x-k8s.io");
  });
});
