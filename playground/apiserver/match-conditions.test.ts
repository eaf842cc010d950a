import { describe, expect, test } from "@jest/globals";
import { webhookConfigurations } from "../../controllers/install.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { MatchConditions } from "./match-conditions.ts";
import { listOf, objectOf } from "./objects.ts";

const isCalled = (webhook: JsonObject, request: JsonObject): boolean =>
  new MatchConditions().isCalled(webhook, { request });
const when = (...expressions: readonly string[]): JsonObject => ({
  name: "w",
  matchConditions: expressions.map((expression, index) => ({ name: `c${index}`, expression })),
});

describe("conditions of webhooks", () => {
  const object = { metadata: { name: "a", labels: { "x/y": "1" } }, spec: { replicas: 2 } };
  const request: JsonObject = { operation: "CREATE", namespace: "ns", object, oldObject: null, dryRun: false };

  test.each<[boolean, readonly string[]]>([
    [true, []],
    [true, ["object.metadata.labels['x/y'] == '1'", "request.namespace == 'ns'"]],
    [false, ["object.spec.replicas > 1", "object.spec.replicas > 2"]],
    [true, ["oldObject == null", "!request.dryRun"]],
    [true, ["object.spec.?paused.orValue(false) == false"]],
    [false, ["object.?status.hasValue()"]],
  ])("%s for %j", (expected, expressions) => expect(isCalled(when(...expressions), request)).toBe(expected));

  test("one that cannot be evaluated fails the request, unless the policy or another condition says otherwise", () => {
    const broken = when("object.spec.none == 1");
    expect(() => isCalled(broken, request)).toThrow(/failed evaluating match conditions of webhook w: c0: .*none/);
    expect(isCalled({ ...broken, failurePolicy: "Ignore" }, request)).toBe(false);
    expect(isCalled(when("object.spec.none == 1", "false"), request)).toBe(false);
    expect(() => isCalled(when("object.("), request)).toThrow("failed evaluating");
  });
});

describe("the operator's own webhooks", () => {
  const [configuration] = webhookConfigurations({ systemNamespace: "kserve", authority: "", presets: [] });
  const webhook = objectOf(listOf((configuration?.["webhooks"] ?? []) as Json)[0]);
  const service = { metadata: { name: "s", annotations: { a: "1" } }, spec: { replicas: 1 } };
  const update = (object: JsonObject, oldObject: JsonObject): JsonObject => ({
    operation: "UPDATE",
    object,
    oldObject,
  });

  test.each<[string, boolean, JsonObject]>([
    ["a new object", true, { operation: "CREATE", object: service, oldObject: null }],
    ["a deletion", true, { operation: "DELETE", object: null, oldObject: service }],
    ["another spec", true, update({ ...service, spec: { replicas: 2 } }, service)],
    ["another label", true, update({ ...service, metadata: { ...service.metadata, labels: { l: "1" } } }, service)],
    ["a finalizer alone", false, update({ ...service, metadata: { ...service.metadata, finalizers: ["f"] } }, service)],
    [
      "an object that is leaving",
      false,
      update({ metadata: { ...service.metadata, deletionTimestamp: "now" }, spec: {} }, service),
    ],
    ["an object without annotations", true, update({ metadata: { name: "s" }, spec: service.spec }, service)],
  ])("see %s: %s", (_what, expected, request) => expect(isCalled(webhook, request)).toBe(expected));
});
