import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { KubeObject } from "../../kube/types.ts";
import { timestamp } from "../conditions.ts";
import { type Fields, field, numberAt, recordsAt } from "../fields.ts";
import { planDeployment } from "./deployment.ts";
import { controllerOf } from "./ownership.ts";
import { planReplicaSet } from "./replica-set.ts";
import { rolloutLimits } from "./rollout.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");

function deployment(spec: Fields): KubeObject {
  const labels = { app: "web" };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "ns", uid: "d", generation: 1 },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "a" }] } },
      ...spec,
    },
  };
}

function withImage(object: KubeObject, image: string): KubeObject {
  const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image }] } };
  return { ...object, spec: { ...(object["spec"] as Fields), template } };
}

/** A namespace in which the two controllers run and pods become ready or end when told. */
class Cluster {
  deployment: KubeObject;
  sets: KubeObject[] = [];
  pods: KubeObject[] = [];
  #count = 0;
  nowMs = NOW;

  constructor(object: KubeObject) {
    this.deployment = object;
  }

  step(): void {
    this.nowMs += 1000;
    const podCounts = new Map(this.sets.map((set) => [set.metadata.uid!, this.podsOf(set).length]));
    const plan = planDeployment({ deployment: this.deployment, replicaSets: this.sets, podCounts, nowMs: this.nowMs });
    this.deployment = { ...this.deployment, status: plan.status };
    if (plan.create !== undefined) this.sets.push(this.#stored(plan.create));
    for (const change of plan.change)
      this.sets = this.sets.map((set) =>
        set.metadata.name === change.name && change.replicas !== undefined
          ? { ...set, spec: { ...(set["spec"] as Fields), replicas: change.replicas } }
          : set,
      );
    this.sets = this.sets.filter((set) => !plan.remove.includes(set.metadata.name)).map((set) => this.#replicate(set));
  }

  podsOf(set: KubeObject): KubeObject[] {
    return this.pods.filter((pod) => controllerOf(pod)?.uid === set.metadata.uid);
  }

  #stored(object: KubeObject): KubeObject {
    const uid = `uid-${this.#count++}`;
    return { ...object, metadata: { ...object.metadata, uid, creationTimestamp: timestamp(this.nowMs) } };
  }

  #replicate(replicaSet: KubeObject): KubeObject {
    const input = { replicaSet, pods: this.pods, nowMs: this.nowMs, random: () => (this.#count++ % 97) / 97 };
    const plan = planReplicaSet(input);
    const names = new Set(plan.remove.map((pod) => pod.metadata.uid));
    this.pods = this.pods.filter((pod) => !names.has(pod.metadata.uid));
    this.pods.push(...plan.create.map((pod) => this.#stored(pod)));
    return { ...replicaSet, status: planReplicaSet({ ...input, pods: this.pods }).status };
  }

  makeReady(which: (index: number) => boolean = () => true): void {
    const conditions = [{ type: "Ready", status: "True", lastTransitionTime: timestamp(this.nowMs) }];
    this.pods = this.pods.map((pod, index) =>
      which(index) ? { ...pod, status: { phase: "Running", conditions } } : pod,
    );
  }

  settle(): void {
    for (let round = 0; round < 60; round++) {
      this.step();
      this.makeReady();
    }
  }

  imagesOf(): unknown[] {
    return this.pods.map((pod) => field(pod, "spec", "containers", 0, "image"));
  }

  get available(): number {
    return this.pods.filter((pod) => recordsAt(pod, "status", "conditions").length > 0).length;
  }
}

describe("a Deployment", () => {
  test("creates its pods and says when they are available", () => {
    const cluster = new Cluster(deployment({}));
    cluster.settle();
    expect(cluster.pods).toHaveLength(3);
    expect(cluster.deployment["status"]).toMatchObject({
      replicas: 3,
      updatedReplicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
      unavailableReplicas: 0,
      observedGeneration: 1,
    });
    const conditions = recordsAt(cluster.deployment, "status", "conditions");
    expect(conditions.map(({ type, status, reason }) => [type, status, reason])).toEqual([
      ["Available", "True", "MinimumReplicasAvailable"],
      ["Progressing", "True", "NewReplicaSetAvailable"],
    ]);
  });

  test("at rest a pass changes nothing", () => {
    const cluster = new Cluster(deployment({}));
    cluster.settle();
    const before = JSON.stringify([cluster.deployment, cluster.sets, cluster.pods]);
    cluster.step();
    expect(JSON.stringify([cluster.deployment, cluster.sets, cluster.pods])).toBe(before);
  });

  test("with Recreate no new pod starts before the last old one is gone", () => {
    const cluster = new Cluster(deployment({ strategy: { type: "Recreate" } }));
    cluster.settle();
    cluster.deployment = withImage(cluster.deployment, "b");
    for (let round = 0; round < 20; round++) {
      cluster.step();
      expect(new Set(cluster.imagesOf()).size).toBeLessThanOrEqual(1);
    }
    expect(cluster.imagesOf()).toEqual(["b", "b", "b"]);
  });

  test("going back to an earlier template reuses its ReplicaSet under a new revision", () => {
    const cluster = new Cluster(deployment({}));
    const first = cluster.deployment;
    cluster.settle();
    cluster.deployment = withImage(cluster.deployment, "b");
    cluster.settle();
    cluster.deployment = { ...first, status: cluster.deployment["status"] };
    cluster.settle();
    expect(cluster.sets).toHaveLength(2);
    expect(cluster.imagesOf()).toEqual(["a", "a", "a"]);
  });

  test("a rollout that does not advance passes its deadline", () => {
    const cluster = new Cluster(deployment({ progressDeadlineSeconds: 30 }));
    for (let round = 0; round < 40; round++) cluster.step();
    const [, progressing] = recordsAt(cluster.deployment, "status", "conditions");
    expect(progressing).toMatchObject({ status: "False", reason: "ProgressDeadlineExceeded" });
  });

  test("a rollout keeps its limits whichever pods become ready when, and ends with new pods alone", () => {
    const percent = fc.integer({ min: 0, max: 100 }).map((value) => `${value}%`);
    const amount = fc.oneof(fc.integer({ min: 0, max: 5 }), percent);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        amount,
        amount,
        fc.array(fc.nat(7), { minLength: 10, maxLength: 30 }),
        (replicas, maxSurge, maxUnavailable, luck) => {
          const object = deployment({ replicas, strategy: { rollingUpdate: { maxSurge, maxUnavailable } } });
          const cluster = new Cluster(object);
          cluster.settle();
          cluster.deployment = withImage(cluster.deployment, "b");
          const { surge, unavailable } = rolloutLimits(object);
          for (const modulus of luck) {
            cluster.step();
            expect(cluster.pods.length).toBeLessThanOrEqual(replicas + surge);
            expect(cluster.available).toBeGreaterThanOrEqual(replicas - unavailable);
            cluster.makeReady((index) => index % 8 > modulus);
          }
          cluster.settle();
          expect(cluster.imagesOf()).toEqual(Array.from({ length: replicas }, () => "b"));
          expect(numberAt(cluster.deployment, "status", "availableReplicas")).toBe(replicas);
        },
      ),
      { numRuns: 60 },
    );
  });
});
