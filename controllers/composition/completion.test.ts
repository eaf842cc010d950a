import { describe, expect, test } from "@jest/globals";
import { listAt, objectAt } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { composed, demo } from "../../test/composition.ts";

describe("completion of the router", () => {
  const route = (spec: JsonObject): JsonObject | undefined => objectAt(spec, "router", "route", "http", "spec");
  const backend = (spec: JsonObject): Json | undefined => listAt(listAt(route(spec), "rules")[0], "backendRefs")[0];

  test("gateway references become the parents", () => {
    const { spec } = composed(
      demo("{router: {route: {}, gateway: {refs: [{name: g, namespace: ns, sectionName: s}, {name: h}]}}}"),
    );
    const common = { group: "gateway.networking.k8s.io", kind: "Gateway" };
    expect(listAt(route(spec), "parentRefs")).toEqual([
      { ...common, name: "g", namespace: "ns", sectionName: "s" },
      { ...common, name: "h" },
    ]);
  });

  test("a foreign pool is the backend, and brings no scheduler", () => {
    const { spec } = composed(demo("{router: {route: {}, scheduler: {pool: {ref: {name: p}}}}}"));
    expect(backend(spec)).toMatchObject({ kind: "InferencePool", name: "p" });
    expect(objectAt(spec, "router", "scheduler", "template")).toBeUndefined();
  });

  test("a hostname alone keeps the rules, also where KServe's default rule was stored", () => {
    const stored = "{hostnames: [h], rules: [{matches: [{path: {type: PathPrefix, value: /}}]}]}";
    for (const given of ["{hostnames: [h]}", stored]) {
      const { spec } = composed(demo(`{router: {route: {http: {spec: ${given}}}}}`));
      expect(listAt(route(spec), "rules")).toHaveLength(12);
      expect(listAt(route(spec), "hostnames")).toEqual(["h"]);
    }
  });

  test("own pools are selected and reached as by default", () => {
    const own = "{router: {scheduler: {pool: {spec: {targetPorts: [{number: 9}], endpointPickerRef: {name: e}}}}}}";
    expect(objectAt(composed(demo(own)).spec, "router", "scheduler", "pool", "spec")).toMatchObject({
      targetPorts: [{ number: 9 }],
      endpointPickerRef: { name: "e", kind: "Service", port: { number: 9002 }, failureMode: "FailOpen" },
      selector: { matchLabels: { "app.kubernetes.io/name": "demo" } },
    });
  });
});
