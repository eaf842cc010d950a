import { describe, expect, test } from "@jest/globals";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { clusterOf } from "../../test/cluster-view.ts";
import { affectedServices } from "../llminferenceservice/triggers.ts";
import { Dependencies, recordingView, servedToken, tokensOf } from "./dependencies.ts";

const secret = (name: string, resourceVersion = "1"): KubeObject => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { namespace: "ml", name, resourceVersion },
});

function dependenciesOf(look: (view: ReturnType<typeof recordingView>) => void): Dependencies {
  const tokens = new Set<string>();
  look(recordingView(clusterOf([]), tokens));
  const dependencies = new Dependencies();
  dependencies.set("ml/a", tokens);
  return dependencies;
}

describe("what a change concerns", () => {
  test("an object that was looked up, there or not, and nobody who did not", () => {
    const dependencies = dependenciesOf((view) => view.find(KINDS.Secret, { namespace: "ml", name: "token" }));
    const affected = (name: string) =>
      affectedServices(dependencies, KINDS.Secret, { type: "added", object: secret(name) }).dependents;
    expect(affected("token")).toEqual([{ namespace: "ml", name: "a" }]);
    expect(affected("other")).toEqual([]);
  });

  test("a new version of an object watched by name", () => {
    const dependencies = dependenciesOf((view) => view.find(KINDS.Secret, { namespace: "ml", name: "token" }));
    const change = { type: "updated", previous: secret("token", "1"), object: secret("token", "2") } as const;
    expect(affectedServices(dependencies, KINDS.Secret, change).dependents).toHaveLength(1);
  });

  test("a Service that backs a Gateway which was asked for by label", () => {
    const labels = { "gateway.networking.k8s.io/gateway-name": "edge" };
    const dependencies = dependenciesOf((view) => view.list(KINDS.Service, "infra", labels));
    const service: KubeObject = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "x", namespace: "infra", labels },
    };
    expect([...dependencies.of(tokensOf(KINDS.Service, service))]).toEqual(["ml/a"]);
  });

  test("a kind that begins to be served", () => {
    const dependencies = dependenciesOf((view) => view.serves(KINDS.LeaderWorkerSet));
    expect([...dependencies.of([servedToken(KINDS.LeaderWorkerSet)])]).toEqual(["ml/a"]);
    dependencies.set("ml/a", new Set());
    expect([...dependencies.of([servedToken(KINDS.LeaderWorkerSet)])]).toEqual([]);
  });

  test("a Gateway wakes services when its address changes, not when it counts another route", () => {
    const key = { namespace: "kserve", name: "edge" };
    const gateway = (address: string, attachedRoutes: number): KubeObject => ({
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "Gateway",
      metadata: key,
      status: { addresses: [{ value: address }], listeners: [{ name: "http", attachedRoutes }] },
    });
    const dependencies = dependenciesOf((view) => view.find(KINDS.Gateway, key));
    const affected = (object: KubeObject) =>
      affectedServices(dependencies, KINDS.Gateway, { type: "updated", previous: gateway("10.0.0.1", 1), object })
        .dependents;
    expect(affected(gateway("10.0.0.1", 2))).toEqual([]);
    expect(affected(gateway("10.0.0.2", 2))).toHaveLength(1);
  });

  test("the service of a child, of a pod by its label, and of its own edit but not of a mere version", () => {
    const none = new Dependencies();
    const owner = {
      apiVersion: "serving.kserve.io/v1alpha2",
      kind: "LLMInferenceService",
      name: "a",
      uid: "u",
      controller: true,
    };
    const child: KubeObject = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "a-kserve", namespace: "ml", ownerReferences: [owner] },
    };
    const pod: KubeObject = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", namespace: "ml", labels: { "app.kubernetes.io/name": "a" } },
    };
    const service = (resourceVersion: string): KubeObject => ({
      apiVersion: "serving.kserve.io/v1alpha2",
      kind: "LLMInferenceService",
      metadata: { name: "a", namespace: "ml", resourceVersion },
      spec: {},
    });
    const own = { namespace: "ml", name: "a" };
    expect(affectedServices(none, KINDS.Deployment, { type: "deleted", object: child }).own).toEqual(own);
    expect(affectedServices(none, KINDS.Pod, { type: "added", object: pod }).own).toEqual(own);
    const change = { type: "updated", previous: service("1"), object: service("2") } as const;
    expect(affectedServices(none, KINDS.LLMInferenceService, change).own).toBeUndefined();
  });
});
