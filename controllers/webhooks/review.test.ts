import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { at, listAt, objectAt, textAt } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { defaultGlobalConfig } from "../composition/global-config.ts";
import { sameJson } from "../json-edit.ts";
import { jsonPatch } from "./patch.ts";
import {
  type ReviewContext,
  defaultService,
  reviewAdmission,
  reviewConfig,
  reviewConversion,
  reviewService,
} from "./review.ts";

const context: ReviewContext = {
  systemNamespace: "kserve",
  global: () => defaultGlobalConfig("kserve"),
  isPreset: (name) => name.startsWith("kserve-config-llm-"),
  protectPresets: true,
};

const service = (spec: JsonObject, version = "v1alpha2"): JsonObject => ({
  apiVersion: `serving.kserve.io/${version}`,
  kind: "LLMInferenceService",
  metadata: { name: "s", namespace: "default" },
  spec: { model: { uri: "hf://a/b" }, ...spec },
});
const config = (spec: JsonObject): JsonObject => ({ ...service({}), kind: "LLMInferenceServiceConfig", spec });
const request = (object: JsonObject): JsonObject => ({
  uid: "u",
  name: "s",
  operation: "CREATE",
  kind: { kind: textAt(object, "kind") ?? "" },
  object,
});

/** Applies the operations that `jsonPatch` makes (RFC 6902: add, replace, remove on objects). */
function applyPatch(value: JsonObject, operations: readonly Json[]): JsonObject {
  const result = structuredClone(value);
  for (const operation of operations) {
    const path = (textAt(operation, "path") ?? "").split("/").slice(1);
    const keys = path.map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
    const parent = keys.slice(0, -1).reduce<JsonObject>((current, key) => objectAt(current, key)!, result);
    if (textAt(operation, "op") === "remove") delete parent[keys.at(-1)!];
    else parent[keys.at(-1)!] = at(operation, "value")!;
  }
  return result;
}

const json = fc.dictionary(
  fc.string().filter((key) => key !== "__proto__"),
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as Json),
);

describe("jsonPatch", () => {
  test("turns one object into the other", () => {
    fc.assert(
      fc.property(json, json, (before, after) => {
        expect(sameJson(applyPatch(before, jsonPatch(before, after)), after)).toBe(true);
      }),
    );
  });
});

describe("defaulting", () => {
  test("fills in the model's name, in the version that was written", () => {
    for (const version of ["v1alpha1", "v1alpha2"]) {
      const answer = defaultService(request(service({}, version)));
      const patch: Json = JSON.parse(Buffer.from(textAt(answer, "patch") ?? "", "base64").toString());
      expect(patch).toEqual([{ op: "add", path: "/spec/model/name", value: "s" }]);
    }
  });

  test("leaves a complete service alone", () => {
    expect(defaultService(request(service({ model: { uri: "hf://a/b", name: "m" } })))).toEqual({ allowed: true });
  });
});

describe("validation", () => {
  test("all errors come at once, as causes", () => {
    const answer = reviewService(request(service({ worker: {}, router: { scheduler: { replicas: 0 } } })));
    expect(answer["allowed"]).toBe(false);
    const causes = listAt(answer, "status", "details", "causes").map((cause) => textAt(cause, "field"));
    expect(causes).toEqual(["spec.worker", "spec.router.scheduler.replicas"]);
    expect(textAt(answer, "status", "message")).toMatch(/^LLMInferenceService\.serving\.kserve\.io "s" is invalid: \[/);
  });

  test("an inline scheduler configuration is checked by the scheduler itself", () => {
    const inline = { kind: "EndpointPickerConfig", plugins: [{ type: "queue-scorrer" }] };
    const answer = reviewService(request(service({ router: { scheduler: { config: { inline } } } })));
    expect(textAt(answer, "status", "message")).toMatch(/config\.inline\.plugins\[0\].*did you mean "queue-scorer"/);
  });

  test("a config with a template that cannot be read is refused with its field", () => {
    const answer = reviewConfig(
      request(config({ template: { containers: [{ name: "main", args: ["{{ .Spec."] }] } })),
      context,
    );
    expect(answer["allowed"]).toBe(false);
    expect(textAt(answer, "status", "message")).toContain("spec.template.containers[0].args[0]");
  });

  test.each([
    ["kserve", "kserve-config-llm-template", false],
    ["kserve", "mine", true],
    ["default", "kserve-config-llm-template", true],
  ])("deleting %s/%s is allowed: %s", (namespace, name, allowed) => {
    expect(reviewConfig({ operation: "DELETE", namespace, name }, context)["allowed"]).toBe(allowed);
  });
});

describe("reviews", () => {
  test("the answer carries the uid of the request", () => {
    const review = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: request(service({})) };
    expect(at(reviewAdmission(review, reviewService, context), "response", "uid")).toBe("u");
  });

  test("a batch is converted whole or not at all", () => {
    const convert = (objects: Json[]): JsonObject =>
      reviewConversion({ request: { uid: "u", desiredAPIVersion: "serving.kserve.io/v1alpha1", objects } });
    const good = convert([service({}), service({}, "v1alpha1")]);
    expect(listAt(good, "response", "convertedObjects").map((object) => textAt(object, "apiVersion"))).toEqual([
      "serving.kserve.io/v1alpha1",
      "serving.kserve.io/v1alpha1",
    ]);
    const bad = convert([service({}), { ...service({}), apiVersion: "v1" }]);
    expect(textAt(bad, "response", "result", "status")).toBe("Failure");
  });
});
