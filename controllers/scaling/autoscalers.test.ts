import { describe, expect, test } from "@jest/globals";
import { ObjectView } from "../preview/object-view.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { conditionsOf, exampleCluster, run } from "../../test/examples.ts";
import { asJson } from "../llminferenceservice/pass.ts";
import { appliedReplicas } from "../workload/replicas.ts";

const MODEL = { uri: "hf://meta-llama/Llama-3.1-8B", name: "llama" };
const WVA = (prometheus: JsonObject): Readonly<Record<string, JsonObject>> => ({
  "autoscaling-wva-controller-config": { prometheus },
});
const TRIGGER = { type: "cron", metadata: { desiredReplicas: "1" } };

const scaled = (scaling: JsonObject, more: JsonObject = {}): { name: string; namespace: string; spec: JsonObject } => ({
  namespace: "ml",
  name: "llama",
  spec: { model: MODEL, scaling, ...more },
});

describe("autoscalers", () => {
  test("a HorizontalPodAutoscaler on the number that the variant autoscaler wants", () => {
    const behavior = { scaleDown: { stabilizationWindowSeconds: 10 } };
    const scaling = { minReplicas: 1, maxReplicas: 8, wva: { variantCost: "10.0", hpa: { behavior } } };
    const { child, status } = run(scaled(scaling, { labels: { "inference.optimization/acceleratorName": "H100" } }));
    expect(child("HorizontalPodAutoscaler", "llama-kserve-hpa")).toMatchObject({
      metadata: {
        labels: {
          "app.kubernetes.io/component": "llminferenceservice-workload",
          "inference.optimization/acceleratorName": "H100",
        },
        annotations: { "llm-d.ai/managed": "true", "llm-d.ai/model-id": "llama", "llm-d.ai/variant-cost": "10.0" },
      },
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "llama-kserve" },
        minReplicas: 1,
        maxReplicas: 8,
        behavior,
        metrics: [
          {
            type: "External",
            external: {
              metric: { name: "wva_desired_replicas", selector: { matchLabels: { variant_name: "llama-kserve-hpa" } } },
              target: { type: "Value", value: "1" },
            },
          },
        ],
      },
    });
    expect(child("Deployment", "llama-kserve")["spec"]).not.toHaveProperty("replicas");
    expect(conditionsOf(status)).toContain("ScalingReady: False HPAProgressing");
  });

  test("a ScaledObject on that number, with the credentials of Prometheus", () => {
    const prometheus = { url: "https://p:9090", authModes: "bearer", triggerAuthName: "auth", triggerAuthKind: "K" };
    const scaling = { maxReplicas: 3, wva: { keda: { pollingInterval: 5, idleReplicaCount: 0 } } };
    const outcome = run({ ...scaled(scaling), global: WVA({ ...prometheus, tlsInsecureSkipVerify: true }) });
    expect(outcome.child("ScaledObject", "llama-kserve-keda")["spec"]).toEqual({
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "llama-kserve" },
      minReplicaCount: 1,
      maxReplicaCount: 3,
      pollingInterval: 5,
      idleReplicaCount: 0,
      triggers: [
        {
          type: "prometheus",
          name: "wva-desired-replicas",
          metadata: {
            serverAddress: "https://p:9090",
            query: 'wva_desired_replicas{variant_name="llama-kserve-keda",exported_namespace="ml"}',
            threshold: "1",
            unsafeSsl: "true",
            authModes: "bearer",
          },
          authenticationRef: { name: "auth", kind: "K" },
        },
      ],
    });
  });

  test("both parts with triggers of the user's, leader-worker sets too", () => {
    const parallelism = { data: 2, dataLocal: 1 };
    const pods = { containers: [{ name: "main" }] };
    const keda = { maxReplicas: 2, keda: { triggers: [TRIGGER], idleReplicaCount: 0 } };
    const { child, names } = run(
      scaled(keda, { parallelism, template: pods, worker: pods, prefill: { scaling: keda } }),
    );
    expect(names.filter((name) => name.startsWith("ScaledObject"))).toHaveLength(2);
    const main = child("ScaledObject", "llama-kserve-keda");
    expect(main["metadata"]).not.toHaveProperty("annotations");
    expect(main["spec"]).toMatchObject({
      scaleTargetRef: { apiVersion: "leaderworkerset.x-k8s.io/v1", kind: "LeaderWorkerSet", name: "llama-kserve-mn" },
      triggers: [TRIGGER],
      idleReplicaCount: 0,
    });
    expect(child("ScaledObject", "llama-kserve-prefill-keda")["spec"]).toMatchObject({
      scaleTargetRef: { kind: "Deployment", name: "llama-kserve-prefill" },
    });
  });

  test.each<[string, Readonly<Record<string, JsonObject>> | undefined, RegExp]>([
    ["no Prometheus", undefined, /needs prometheus.url in key autoscaling-wva-controller-config/],
    ["half of the credentials", WVA({ url: "http://p", authModes: "bearer" }), /belong together/],
  ])("%s is told", (_what, global, message) => {
    const scaling = { maxReplicas: 2, wva: { keda: {} } };
    const { status, names } = run({ ...scaled(scaling), ...(global && { global }) });
    expect(conditionsOf(status)).toContain("MainWorkloadReady: False ReconcileScalingError");
    expect(JSON.stringify(status)).toMatch(message);
    expect(names.filter((name) => name.startsWith("ScaledObject"))).toEqual([]);
  });

  test("without KEDA the condition says what to install, and nothing else is touched", () => {
    const cluster = new ObjectView(exampleCluster("ml").objects, [KINDS.ScaledObject]);
    const { status } = run({ ...scaled({ maxReplicas: 2, keda: { triggers: [TRIGGER] } }), cluster });
    expect(conditionsOf(status)).toContain("MainWorkloadReady: False ScalingCRDNotFound");
  });

  test("another kind of autoscaler takes the place of the first; none leaves nothing", () => {
    const cluster = exampleCluster("ml");
    const scalers = (): string[] =>
      cluster.objects.flatMap(({ kind }) => (/ScaledObject|Autoscaler/.test(kind) ? [kind] : []));
    run({ ...scaled({ maxReplicas: 2, wva: { hpa: {} } }), cluster });
    expect(scalers()).toEqual(["HorizontalPodAutoscaler"]);
    run({ ...scaled({ maxReplicas: 2, keda: { triggers: [TRIGGER] } }), cluster });
    expect(scalers()).toEqual(["ScaledObject"]);
    run({ namespace: "ml", name: "llama", spec: { model: MODEL }, cluster });
    expect(scalers()).toEqual([]);
  });

  const condition = (type: string, status: string, reason: string): JsonObject => ({
    type,
    status,
    reason,
    message: "m",
  });
  test.each<[string, readonly JsonObject[], string]>([
    ["no word yet", [condition("AbleToScale", "True", "A")], "False HPAProgressing"],
    [
      "metrics fail",
      [condition("AbleToScale", "True", "A"), condition("ScalingActive", "False", "FailedGetExternalMetric")],
      "False FailedGetExternalMetric",
    ],
    ["it works", [condition("AbleToScale", "True", "A"), condition("ScalingActive", "True", "V")], "True"],
  ])("readiness of a HorizontalPodAutoscaler: %s", (_what, conditions, expected) => {
    const cluster = exampleCluster("ml");
    const example = { ...scaled({ maxReplicas: 2, wva: { hpa: {} } }), cluster };
    run(example);
    const live = cluster.find(KINDS.HorizontalPodAutoscaler, { namespace: "ml", name: "llama-kserve-hpa" });
    cluster.put({ ...live, status: { conditions } } as unknown as KubeObject);
    expect(conditionsOf(run(example).status)).toContain(`ScalingReady: ${expected}`);
  });

  test.each<[string, string, string]>([
    ["in doubt", "Unknown", "False ScaledObjectProgressing"],
    ["broken", "False", "False TriggerError"],
    ["ready", "True", "True"],
  ])("readiness of a ScaledObject: %s", (_what, ready, expected) => {
    const cluster = exampleCluster("ml");
    const example = { ...scaled({ maxReplicas: 2, keda: { triggers: [TRIGGER] } }), cluster };
    run(example);
    const live = cluster.find(KINDS.ScaledObject, { namespace: "ml", name: "llama-kserve-keda" });
    cluster.put({
      ...live,
      status: { conditions: [condition("Ready", ready, "TriggerError")] },
    } as unknown as KubeObject);
    expect(conditionsOf(run(example).status)).toContain(`ScalingReady: ${expected}`);
  });
});

describe("a service without replicas", () => {
  const cluster = exampleCluster("ml");
  const example = { ...scaled({ maxReplicas: 2, keda: { triggers: [TRIGGER], idleReplicaCount: 0 } }), cluster };
  /** The condition once the Deployment has these numbers. */
  function seen(replicas: number, availableReplicas: number): string[] {
    const live = cluster.find(KINDS.Deployment, { namespace: "ml", name: "llama-kserve" });
    const spec = { ...(asJson(live)?.["spec"] as JsonObject), replicas };
    cluster.put({ ...live, spec, status: { availableReplicas } } as unknown as KubeObject);
    // What an autoscaler set is not the operator's to apply: the harness would lose it.
    const { status } = run(example);
    return conditionsOf(status).filter((text) => text.startsWith("ScaledToZero"));
  }

  test("is told to sleep, to wake, and then nothing more", () => {
    run(example);
    expect(seen(1, 0)).toEqual([]);
    expect(seen(0, 0)).toEqual(["ScaledToZero: True Idle"]);
    expect(seen(1, 0)).toEqual(["ScaledToZero: False Waking"]);
    expect(seen(1, 1)).toEqual([]);
    expect(seen(1, 0)).toEqual([]);
  });

  test("by hand, it says by whom", () => {
    const spec = { model: MODEL, replicas: 0 };
    const { status } = run({ namespace: "ml", name: "hand", spec, cluster: exampleCluster("ml") });
    expect(conditionsOf(status)).toContain("ScaledToZero: True NoReplicas");
  });
});

describe("who owns the number of replicas", () => {
  const live = (managers: readonly string[], replicas: number): JsonObject | undefined =>
    asJson({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: {
        name: "d",
        managedFields: managers.map((manager) => ({ manager, fieldsV1: { "f:spec": { "f:replicas": {} } } })),
      },
      spec: { replicas },
    } as unknown as KubeObject);

  test.each<[string, JsonObject, JsonObject | undefined, number | undefined]>([
    ["the spec", { replicas: 2 }, live(["llmisvc"], 5), 2],
    ["zero is a number", { replicas: 0 }, live(["hpa"], 5), 0],
    ["nobody, at first", {}, undefined, undefined],
    ["an autoscaler", {}, live(["hpa"], 5), undefined],
    ["an autoscaler beside us", {}, live(["llmisvc", "hpa"], 5), undefined],
    ["we alone, until somebody takes over", {}, live(["llmisvc"], 5), 5],
  ])("%s", (_who, spec, object, expected) => expect(appliedReplicas(spec, object)).toBe(expected));
});
