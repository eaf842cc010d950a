import { describe, expect, test } from "@jest/globals";
import { listAt, objectAt, textAt } from "../../crds/json.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type Outcome, conditionsOf, exampleCluster, run } from "../../test/examples.ts";
import { backends, rulesOf } from "../../test/route-rules.ts";
import type { ObjectView } from "../preview/object-view.ts";

const ruleNamed = (rules: readonly JsonObject[], name: string): JsonObject | undefined =>
  rules.find((rule) => rule["name"] === name);

describe("routing groups", () => {
  const member = (
    name: string,
    weight: number,
    more: JsonObject = {},
  ): { name: string; namespace: string; spec: JsonObject } => ({
    namespace: "ml",
    name,
    spec: {
      model: { uri: "hf://a/b", name: "llama" },
      router: { gateway: {}, scheduler: {}, route: { group: "llama", weight } },
      ...more,
    },
  });

  /** Makes the parts of a service answer, as far as its routability reads them. */
  function ready(cluster: ObjectView, name: string): void {
    for (const deployment of [`${name}-kserve`, `${name}-kserve-router-scheduler`]) {
      const live = cluster.find(KINDS.Deployment, { namespace: "ml", name: deployment });
      const conditions = [{ type: "Available", status: "True" }];
      cluster.put({ ...live, status: { availableReplicas: 1, conditions } } as unknown as KubeObject);
    }
    const parentRef = { name: "kserve-ingress-gateway", namespace: "kserve" };
    const conditions = ["Accepted", "ResolvedRefs"].map((type) => ({ type, status: "True" }));
    for (const [kind, child] of [
      [KINDS.HTTPRoute, `${name}-kserve-route`],
      [KINDS.InferencePool, `${name}-inference-pool`],
    ] as const) {
      const live = cluster.find(kind, { namespace: "ml", name: child });
      cluster.put({ ...live, status: { parents: [{ parentRef, conditions }] } } as unknown as KubeObject);
    }
  }

  function group(): { cluster: ObjectView; v1: Outcome; v2: Outcome } {
    const cluster = exampleCluster("ml");
    for (const [name, weight] of [
      ["llama-v1", 90],
      ["llama-v2", 10],
    ] as const) {
      run({ ...member(name, weight), cluster });
      ready(cluster, name);
      run({ ...member(name, weight), cluster });
    }
    return {
      cluster,
      v1: run({ ...member("llama-v1", 90), cluster }),
      v2: run({ ...member("llama-v2", 10), cluster }),
    };
  }

  const SHARED = [
    "InferencePool inference.networking.k8s.io/llama-v1-inference-pool:8000 w90",
    "InferencePool inference.networking.k8s.io/llama-v2-inference-pool:8000 w10",
  ];

  test("divide what names the model, and keep each member's own paths", () => {
    const { v1, v2 } = group();
    for (const [outcome, name] of [
      [v1, "llama-v1"],
      [v2, "llama-v2"],
    ] as const) {
      const rules = rulesOf(outcome, name);
      for (const rule of ["v1-model-routing", "v1-completions-publisher-path", "v1-catch-all-model-routing"])
        expect(backends(ruleNamed(rules, rule))).toEqual(SHARED);
      expect(backends(ruleNamed(rules, "v1-completions-path"))).toEqual([
        `InferencePool inference.networking.k8s.io/${name}-inference-pool:8000 w1`,
      ]);
      expect(backends(ruleNamed(rules, "v1-catch-all-path"))).toEqual([`Service /${name}-kserve-workload-svc:8000 w1`]);
      expect(outcome.child("HTTPRoute", `${name}-kserve-route`)).toMatchObject({
        metadata: { labels: { "serving.kserve.io/routing-group": "llama" } },
      });
    }
    expect(objectAt(v1.status, "router", "group")).toMatchObject({
      name: "llama",
      members: [
        { name: "llama-v1", weight: 90 },
        { name: "llama-v2", weight: 10 },
      ],
    });
    expect(conditionsOf(v1.status)).toContain("GroupReady: True");
  });

  test("leave out a stopped member, and show it", () => {
    const { cluster } = group();
    run({ ...member("llama-v2", 10), cluster, annotations: { "serving.kserve.io/stop": "true" } });
    const v1 = run({ ...member("llama-v1", 90), cluster });
    expect(backends(ruleNamed(rulesOf(v1, "llama-v1"), "v1-model-routing"))).toEqual(SHARED.slice(0, 1));
    expect(listAt(v1.status, "router", "group", "members")).toMatchObject([
      { name: "llama-v1" },
      { name: "llama-v2", stopped: true },
    ]);
  });

  test("a member that is not ready takes no share; alone, it takes all", () => {
    const cluster = exampleCluster("ml");
    const alone = run({ ...member("llama-v2", 10), cluster });
    expect(backends(ruleNamed(rulesOf(alone, "llama-v2"), "v1-model-routing"))).toEqual(SHARED.slice(1));
    run({ ...member("llama-v1", 90), cluster });
    ready(cluster, "llama-v1");
    run({ ...member("llama-v1", 90), cluster });
    const cold = run({ ...member("llama-v2", 10), cluster });
    expect(backends(ruleNamed(rulesOf(cold, "llama-v2"), "v1-model-routing"))).toEqual(SHARED.slice(0, 1));
  });

  test("a member with another model is named and gets nothing", () => {
    const { cluster } = group();
    const other = { model: { uri: "hf://a/c", name: "other" } };
    run({ ...member("llama-v3", 5, other), cluster });
    ready(cluster, "llama-v3");
    run({ ...member("llama-v3", 5, other), cluster });
    const v1 = run({ ...member("llama-v1", 90), cluster });
    expect(backends(ruleNamed(rulesOf(v1, "llama-v1"), "v1-model-routing"))).toEqual(SHARED);
    const degraded = listAt(v1.status, "conditions").find((condition) => textAt(condition, "type") === "GroupDegraded");
    expect(degraded).toMatchObject({ status: "True", reason: "MemberDivergence" });
    expect(textAt(degraded, "message")).toContain("llama-v3 [other]");
    expect(v1.settled.events.filter(({ reason }) => reason === "MemberDivergence")).toHaveLength(1);
  });
});
