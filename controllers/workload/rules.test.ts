import { describe, expect, test } from "@jest/globals";
import type { JsonObject } from "../../crds/schema/types.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, listAt, objectAt, textAt } from "../../crds/json.ts";
import { childParent } from "../../templates/child-name.ts";
import { wellKnownConfigs } from "../composition/presets.ts";
import { asObject, previewService } from "../preview/preview.ts";
import { OfflineView } from "../preview/views.ts";
import { type Example, containerOf, podOf, run } from "../../test/examples.ts";

const model = { uri: "hf://a/b" };
const deployment = (example: Omit<Example, "name">): JsonObject =>
  run({ name: "s", ...example }).child("Deployment", "s-kserve");

describe("places for the KV cache", () => {
  const tiers = (...sizes: readonly (string | number)[]): JsonObject => ({
    cpu: "1Gi",
    secondary: sizes.map((size) => ({ fileSystem: { emptyDir: { size } } })),
  });
  const requests = (offloading: JsonObject, own?: JsonObject): unknown => {
    const template = { containers: [{ name: "main", ...(own === undefined ? {} : { resources: { requests: own } }) }] };
    const pod = podOf(deployment({ spec: { model, kvCacheOffloading: offloading, template } }));
    return at(containerOf(pod), "resources", "requests", "ephemeral-storage");
  };

  test.each<[string, JsonObject, JsonObject | undefined, string]>([
    ["are requested", tiers("100Gi"), undefined, "100Gi"],
    ["are requested together", tiers("100Gi", "50Gi"), undefined, "150Gi"],
    ["add to what the user requests, in its suffixes", tiers("1Gi"), { "ephemeral-storage": "512Mi" }, "1536Mi"],
    ["add to a request in powers of ten", tiers("500M"), { "ephemeral-storage": "1G" }, "1500M"],
    ["may be written as numbers", tiers(1_000_000), undefined, "1M"],
    ["are written as Kubernetes does", tiers("0.5Gi"), undefined, "512Mi"],
  ])("%s", (_what, offloading, own, expected) => expect(requests(offloading, own)).toBe(expected));

  test("keep their number where one before them is none", () => {
    const secondary = [{}, { fileSystem: { pvc: { spec: { resources: { requests: { storage: "1024Mi" } } } } } }];
    const pod = podOf(deployment({ spec: { model, kvCacheOffloading: { cpu: "1Gi", secondary } } }));
    expect(listAt(pod, "volumes").at(-1)).toEqual({
      name: "kv-cache-secondary-1",
      ephemeral: { volumeClaimTemplate: { spec: { resources: { requests: { storage: "1Gi" } } } } },
    });
    expect(listAt(containerOf(pod), "volumeMounts").at(-1)).toEqual({
      name: "kv-cache-secondary-1",
      mountPath: "/mnt/kv-cache-1",
    });
  });
});

describe("labels and annotations", () => {
  const queue = "kueue.x-k8s.io/queue-name";
  const annotations = {
    "prometheus.io/scrape": "true",
    "k8s.v1.cni.cncf.io/networks": "n",
    "leaderworkerset.sigs.k8s.io/exclusive-topology": "rack",
    "sidecar.istio.io/inject": "false",
  };

  test("of the service reach its pods by prefix; those of the spec go before them", () => {
    const spec = { model, labels: { [queue]: "spec" }, annotations: { "prometheus.io/scrape": "false", own: "1" } };
    const made = deployment({ labels: { [queue]: "service", other: "x" }, annotations, spec });
    expect(objectAt(made, "metadata", "labels")).toMatchObject({ [queue]: "service" });
    expect(objectAt(made, "metadata", "annotations")).toEqual({
      "prometheus.io/scrape": "true",
      "k8s.v1.cni.cncf.io/networks": "n",
    });
    const { labels, annotations: ofPods } = objectAt(made, "spec", "template", "metadata") ?? {};
    expect(labels).toMatchObject({ [queue]: "spec" });
    expect(labels).not.toHaveProperty("other");
    expect(ofPods).toEqual({ "prometheus.io/scrape": "false", "k8s.v1.cni.cncf.io/networks": "n", own: "1" });
  });

  test("of the spec do not reach prefill pods, which have their own", () => {
    const spec = { model, labels: { a: "main" }, prefill: { labels: { b: "prefill" } } };
    const made = run({ name: "s", spec, annotations }).child("Deployment", "s-kserve-prefill");
    const labels = objectAt(made, "spec", "template", "metadata", "labels");
    expect(labels).toMatchObject({ b: "prefill", "llm-d.ai/role": "prefill" });
    expect(labels).not.toHaveProperty("a");
  });

  test("for groups of pods reach leaders and workers too", () => {
    const spec = { model, parallelism: { data: 4, dataLocal: 2 }, worker: {}, labels: { a: "1" } };
    const made = run({ name: "s", spec, annotations }).child("LeaderWorkerSet", "s-kserve-mn");
    for (const path of [["metadata"], ["spec", "leaderWorkerTemplate", "leaderTemplate", "metadata"]])
      expect(objectAt(made, ...path, "annotations")).toHaveProperty(
        ["leaderworkerset.sigs.k8s.io/exclusive-topology"],
        "rack",
      );
    const worker = objectAt(made, "spec", "leaderWorkerTemplate", "workerTemplate", "metadata", "labels");
    expect(worker).toMatchObject({ a: "1", "app.kubernetes.io/component": "llminferenceservice-workload-worker" });
    expect(worker).not.toHaveProperty(["kserve.io/component"]);
  });
});

describe("a tokenizer's model", () => {
  const router = { route: {}, scheduler: { tokenizer: {} } };

  test("in an image is linked into a volume above it", () => {
    const pod = podOf(
      run({ name: "s", spec: { model: { uri: "oci://r/i:1" }, router } }).child("Deployment", "s-tokenizer"),
    );
    const shared = { name: "kserve-provision-location", mountPath: "/mnt/models" };
    expect(listAt(containerOf(pod), "volumeMounts").at(-1)).toEqual(shared);
    expect(listAt(containerOf(pod, "modelcar"), "volumeMounts")).toEqual([shared]);
    expect(listAt(containerOf(pod, "modelcar"), "args").at(-1)).toContain("/root/models /mnt/models/base");
  });

  test("is downloaded with the credentials of the model servers from the first pass on", () => {
    const account = (name: string, secret: string): KubeObject => ({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { namespace: "ns1", name },
      secrets: [{ name: secret }],
    });
    const secret = (name: string): KubeObject => ({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { namespace: "ns1", name },
      data: { HF_TOKEN: "dA==" },
    });
    const around = [account("default", "one"), account("own", "two"), secret("one"), secret("two")];
    // A preview is one pass over a cluster in which nothing has been made yet.
    const tokenOf = (template: JsonObject): unknown => {
      const view = new OfflineView([...wellKnownConfigs(), ...around]);
      const apiVersion = "serving.kserve.io/v1alpha2";
      const manifest = {
        apiVersion,
        kind: "LLMInferenceService",
        metadata: { name: "s" },
        spec: { model, router, template },
      };
      const settings = { systemNamespace: "kserve", clusterDomain: "cluster.local", wildcardHostname: "x" };
      const { children } = previewService(asObject(manifest, "ns1"), view, {
        settings,
        presets: { prefix: "kserve-", pinned: true },
      });
      const made = children.filter((child) => textAt(child, "metadata", "name") === "s-tokenizer");
      return listAt(containerOf(podOf(made[0] ?? {}), "storage-initializer"), "env")[0];
    };
    const from = (name: string): JsonObject => ({
      name: "HF_TOKEN",
      valueFrom: { secretKeyRef: { name, key: "HF_TOKEN" } },
    });
    expect(tokenOf({})).toEqual(from("one"));
    expect(tokenOf({ serviceAccountName: "own" })).toEqual(from("two"));
  });
});

test.each<[string, JsonObject, JsonObject]>([
  ["KEDA", { keda: { triggers: [{ type: "cpu", metadata: {} }] } }, {}],
  [
    "the workload variant autoscaler",
    { wva: { keda: {} } },
    { "autoscaling-wva-controller-config": { prometheus: { url: "http://p" } } },
  ],
])("what %s does while metrics fail is said in full", (_what, scaling, global) => {
  const [mode = "", settings] = Object.entries(scaling)[0] ?? [];
  const fallback = { failureThreshold: 0, replicas: 2 };
  const keda = mode === "keda" ? { ...objectAt(settings), fallback } : { keda: { fallback } };
  const spec = { model, scaling: { maxReplicas: 3, [mode]: keda } };
  const made = run({ name: "s", spec, global: global as Example["global"] & object }).child(
    "ScaledObject",
    "s-kserve-keda",
  );
  expect(objectAt(made, "spec", "fallback")).toEqual({ ...fallback, behavior: "static" });
});

test("names that are too long for a child are shortened, each by its own suffix", () => {
  const name = "facebook-opt-125m-single-node-deployment-for-testing";
  const { names } = run({ name, spec: { model, router: { route: {}, scheduler: {} } } });
  expect(names).toEqual(
    expect.arrayContaining([
      `Deployment ${name}-kserve`,
      "InferencePool facebook-opt-125243b9cad03c2062a506353808a9b54b3-inference-pool",
      "Service facebook-opt-125m-s243b9cad03c2062a506353808a9b54b3-epp-service",
      "Service facebook-op243b9cad03c2062a506353808a9b54b3-kserve-workload-svc",
      "Secret facebo243b9cad03c2062a506353808a9b54b3-kserve-self-signed-certs",
      "ClusterRoleBinding ns1d0a495a0aa8888d2a47070546eeef426-facebook-opt-125m-single-no",
    ]),
  );
});

test("a service whose name no Service can have gets children that the API server takes", () => {
  const lora = { adapters: [{ name: "My_Adapter", uri: "pvc://claim/a" }] };
  const spec = { model: { ...model, lora }, prefill: {}, router: { route: {}, scheduler: {} } };
  const { settled, child, names } = run({ name: "7b.v1", spec });
  const parent = childParent("7b.v1");
  expect(names).toEqual(
    expect.arrayContaining([`Deployment ${parent}-kserve`, `Service ${parent}-kserve-workload-svc`]),
  );
  for (const { kind, metadata } of settled.plan.children)
    if (kind !== "ClusterRoleBinding") expect(metadata.name).toMatch(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/);
  const pod = podOf(child("Deployment", `${parent}-kserve`));
  for (const volume of listAt(pod, "volumes"))
    expect(textAt(volume, "name")).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  expect(JSON.stringify(child("HTTPRoute", `${parent}-kserve-route`))).toContain(`"name":"${parent}-inference-pool"`);
  expect(JSON.stringify(pod)).toContain(`"secretName":"${parent}-kserve-self-signed-certs"`);
});
