import { describe, expect, test } from "@jest/globals";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { exampleCluster, run } from "../../test/examples.ts";
import type { ObjectView } from "../preview/object-view.ts";

const PODS = { containers: [{ name: "main" }] };
const SINGLE: JsonObject = { model: { uri: "hf://a/b" }, template: PODS };
const GROUP: JsonObject = { ...SINGLE, parallelism: { pipeline: 2 }, worker: PODS };
const DEPLOYMENT = "s-kserve";
const GROUPS = "s-kserve-mn";

const reach = (spec: JsonObject, cluster: ObjectView): void => void run({ name: "s", spec, cluster });

const exists = (cluster: ObjectView, resource: Resource, name: string): boolean =>
  cluster.find(resource, { namespace: "ns1", name }) !== undefined;

/** Reports of a workload controller; `metadata` besides. */
function report(cluster: ObjectView, resource: Resource, name: string, status: JsonObject, metadata = {}): void {
  const live = cluster.find(resource, { namespace: "ns1", name })!;
  cluster.put({ ...live, metadata: { ...live.metadata, ...metadata }, status });
}

const AVAILABLE = [{ type: "Available", status: "True" }];

/** A service whose single pods serve, just switched to groups. */
function switched(): ObjectView {
  const cluster = exampleCluster("ns1");
  reach(SINGLE, cluster);
  report(cluster, KINDS.Deployment, DEPLOYMENT, { availableReplicas: 1, conditions: AVAILABLE });
  reach(GROUP, cluster);
  return cluster;
}

describe("a switch between single pods and groups of pods", () => {
  test("keeps the old servers until the new ones are ready", () => {
    const cluster = switched();
    expect(exists(cluster, KINDS.Deployment, DEPLOYMENT)).toBe(true);
    report(cluster, KINDS.LeaderWorkerSet, GROUPS, { readyReplicas: 1, conditions: AVAILABLE });
    reach(GROUP, cluster);
    expect(exists(cluster, KINDS.Deployment, DEPLOYMENT)).toBe(false);
  });

  test("back again, too", () => {
    const cluster = switched();
    report(cluster, KINDS.LeaderWorkerSet, GROUPS, { readyReplicas: 1, conditions: AVAILABLE });
    reach(GROUP, cluster);
    reach(SINGLE, cluster);
    expect(exists(cluster, KINDS.LeaderWorkerSet, GROUPS)).toBe(true);
    report(cluster, KINDS.Deployment, DEPLOYMENT, { availableReplicas: 1, conditions: AVAILABLE });
    reach(SINGLE, cluster);
    expect(exists(cluster, KINDS.LeaderWorkerSet, GROUPS)).toBe(false);
  });

  test("gives up after half an hour", () => {
    const cluster = switched();
    // The clock of examples stands at 0.
    report(cluster, KINDS.LeaderWorkerSet, GROUPS, {}, { creationTimestamp: new Date(-1_800_000).toISOString() });
    reach(GROUP, cluster);
    expect(exists(cluster, KINDS.Deployment, DEPLOYMENT)).toBe(false);
  });

  test("makes room where the new pods find none", () => {
    const cluster = switched();
    const message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.";
    cluster.put({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        namespace: "ns1",
        name: "s-kserve-mn-0",
        labels: {
          "app.kubernetes.io/name": "s",
          "app.kubernetes.io/part-of": "llminferenceservice",
          "app.kubernetes.io/component": "llminferenceservice-workload-leader",
        },
      },
      spec: { containers: [] },
      status: {
        phase: "Pending",
        conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
      },
    });
    reach(GROUP, cluster);
    expect(exists(cluster, KINDS.Deployment, DEPLOYMENT)).toBe(false);
  });

  test("keeps nothing of what did not serve, or is not to be replaced", () => {
    const idle = exampleCluster("ns1");
    reach(SINGLE, idle);
    reach(GROUP, idle);
    expect(exists(idle, KINDS.Deployment, DEPLOYMENT)).toBe(false);
    const cluster = exampleCluster("ns1");
    reach(SINGLE, cluster);
    report(cluster, KINDS.Deployment, DEPLOYMENT, { availableReplicas: 1, conditions: AVAILABLE });
    reach({ ...GROUP, replicas: 0 }, cluster);
    expect(exists(cluster, KINDS.Deployment, DEPLOYMENT)).toBe(false);
  });
});
