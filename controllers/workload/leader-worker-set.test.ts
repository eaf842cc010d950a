import { describe, expect, test } from "@jest/globals";
import { listAt, objectAt } from "../../crds/json.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { bare, containerOf, run, scriptOf } from "../../test/examples.ts";

const ROUTED: JsonObject = { scheduler: {}, route: {}, gateway: {} };
const GPU = { containers: [{ name: "main", resources: { limits: { "nvidia.com/gpu": 8 } } }] };

describe("worked examples of workloads on several nodes", () => {
  test("data parallel from a claim, with a ServiceAccount of the user's", () => {
    const { names, child } = run({
      name: "ds",
      annotations: { "k8s.v1.cni.cncf.io/networks": "roce-p2" },
      objects: [bare(KINDS.ServiceAccount, "ns1", "hfsa")],
      spec: {
        model: { uri: "pvc://ds-pvc/r1", name: "deepseek-ai/DeepSeek-R1" },
        replicas: 1,
        parallelism: { data: 32, dataLocal: 8, expert: true, tensor: 1 },
        template: { serviceAccountName: "hfsa", ...GPU },
        worker: GPU,
        router: ROUTED,
      },
    });
    expect(names.filter((name) => /ServiceAccount|Role/.test(name))).toEqual([
      "ClusterRoleBinding ns1-ds-epp-auth-rb",
      "Role ds-epp-role",
      "RoleBinding ds-epp-rb",
      "ServiceAccount ds-epp-sa",
    ]);
    const set = child("LeaderWorkerSet", "ds-kserve-mn");
    expect(set).toMatchObject({
      metadata: {
        annotations: { "k8s.v1.cni.cncf.io/networks": "roce-p2" },
        labels: { "app.kubernetes.io/component": "llminferenceservice-workload-worker" },
      },
      spec: {
        replicas: 1,
        startupPolicy: "LeaderCreated",
        rolloutStrategy: { type: "RollingUpdate" },
        leaderWorkerTemplate: { size: 4, restartPolicy: "RecreateGroupOnPodRestart" },
      },
    });
    expect(objectAt(set, "spec", "leaderWorkerTemplate")).not.toHaveProperty("subGroupPolicy");
    const leader = objectAt(set, "spec", "leaderWorkerTemplate", "leaderTemplate") ?? {};
    expect(leader).toMatchObject({
      metadata: {
        labels: {
          "app.kubernetes.io/component": "llminferenceservice-workload-leader",
          "kserve.io/component": "workload",
          "llm-d.ai/role": "both",
        },
        annotations: { "k8s.v1.cni.cncf.io/networks": "roce-p2" },
      },
      spec: { serviceAccountName: "hfsa" },
    });
    const main = containerOf(objectAt(leader, "spec") ?? {});
    for (const flag of [
      '--api-server-count "${VLLM_API_SERVER_COUNT:-8}"',
      "--enable-expert-parallel",
      "--data-parallel-size 32",
      "--data-parallel-size-local 8",
      "--data-parallel-rpc-port 5555",
      "--data-parallel-start-rank 0",
    ])
      expect(scriptOf(main)).toContain(flag);
    expect(listAt(main, "volumeMounts").at(-1)).toEqual({
      name: "kserve-pvc-source",
      mountPath: "/mnt/models",
      readOnly: true,
      subPath: "r1",
    });
    const worker = objectAt(set, "spec", "leaderWorkerTemplate", "workerTemplate") ?? {};
    expect(objectAt(worker, "metadata", "labels")).not.toHaveProperty("kserve.io/component");
    const workerMain = containerOf(objectAt(worker, "spec") ?? {});
    expect(scriptOf(workerMain)).toContain("--headless");
    expect(scriptOf(workerMain)).not.toContain("--api-server-count");
    expect(workerMain).not.toHaveProperty("readinessProbe");
  });

  test("data-parallel prefill and decode", () => {
    const parallelism = { data: 16, dataLocal: 8, expert: true, tensor: 1 };
    const { names, child } = run({
      name: "pd",
      spec: {
        model: { uri: "hf://a/b" },
        parallelism,
        template: GPU,
        worker: GPU,
        prefill: { parallelism, template: GPU, worker: GPU },
        router: ROUTED,
      },
    });
    expect(names.filter((name) => /kserve/.test(name))).toEqual([
      "Deployment pd-kserve-router-scheduler",
      "HTTPRoute pd-kserve-route",
      "LeaderWorkerSet pd-kserve-mn",
      "LeaderWorkerSet pd-kserve-mn-prefill",
      "Role pd-kserve-mn-role",
      "RoleBinding pd-kserve-mn-rb",
      "Secret pd-kserve-self-signed-certs",
      "Service pd-kserve-workload-svc",
      "ServiceAccount pd-kserve-mn",
      "ServiceAccount pd-kserve-mn-prefill",
    ]);
    const decode = objectAt(child("LeaderWorkerSet", "pd-kserve-mn"), "spec", "leaderWorkerTemplate") ?? {};
    expect(decode).toMatchObject({ size: 2 });
    expect(containerOf(objectAt(decode, "leaderTemplate", "spec") ?? {})["ports"]).toMatchObject([
      { containerPort: 8001 },
    ]);
    const worker = containerOf(objectAt(decode, "workerTemplate", "spec") ?? {});
    expect(worker["env"]).toEqual(expect.arrayContaining([{ name: "VLLM_RANDOMIZE_DP_DUMMY_INPUTS", value: "1" }]));
    const prefill = objectAt(child("LeaderWorkerSet", "pd-kserve-mn-prefill"), "spec", "leaderWorkerTemplate");
    expect(prefill).toMatchObject({ size: 2, subGroupPolicy: { subGroupSize: 2 } });
  });
});
