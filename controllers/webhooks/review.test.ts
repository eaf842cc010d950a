import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { at, listAt, objectAt, sameJson, textAt } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { defaultGlobalConfig } from "../composition/global-config.ts";
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
  localModels: () => [],
  usersOf: (_namespace, name) => (name === "base" ? ["default/s"] : []),
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
      const answer = defaultService(request(service({}, version)), context);
      const patch: Json = JSON.parse(Buffer.from(textAt(answer, "patch") ?? "", "base64").toString());
      expect(patch).toEqual([{ op: "add", path: "/spec/model/name", value: "s" }]);
    }
  });

  test("marks it with the cache of its model, in the version that was written", () => {
    const caches = { metadata: { name: "c" }, spec: { sourceModelUri: "hf://a/b", nodeGroups: ["gpu"] } };
    const localModels = (namespace: string): JsonObject[] => (namespace === "default" ? [caches] : []);
    const answer = defaultService(request(service({}, "v1alpha1")), { ...context, localModels });
    const patch: Json = JSON.parse(Buffer.from(textAt(answer, "patch") ?? "", "base64").toString());
    expect(JSON.stringify(patch)).toContain('"internal.serving.kserve.io/localmodel":"c"');
  });

  test("tells what a quantity looks like", () => {
    const resources = { limits: { cpu: "one" } };
    const answer = defaultService(
      request(service({ template: { containers: [{ name: "main", resources }] } })),
      context,
    );
    expect(textAt(answer, "status", "message")).toContain(
      `limits.cpu: Invalid value: "one": must be a quantity such as 500m or 2Gi`,
    );
  });

  test("leaves a complete service alone", () => {
    expect(defaultService(request(service({ model: { uri: "hf://a/b", name: "m" } })), context)).toEqual({
      allowed: true,
    });
  });
});

describe("validation", () => {
  test("all errors come at once, as causes", () => {
    const answer = reviewService(request(service({ worker: {}, router: { scheduler: { replicas: 0 } } })), context);
    expect(answer["allowed"]).toBe(false);
    const causes = listAt(answer, "status", "details", "causes").map((cause) => textAt(cause, "field"));
    expect(causes).toEqual(["spec.worker", "spec.router.scheduler.replicas"]);
    expect(textAt(answer, "status", "message")).toMatch(/^LLMInferenceService\.serving\.kserve\.io "s" is invalid: \[/);
  });

  test("an inline scheduler configuration is checked by the scheduler itself", () => {
    const inline = { kind: "EndpointPickerConfig", plugins: [{ type: "queue-scorrer" }] };
    const answer = reviewService(request(service({ router: { scheduler: { config: { inline } } } })), context);
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

describe("everything at once", () => {
  test("the defaulting webhook tells types, bounds, rules of fields and the scheduler's findings together", () => {
    const wrong = service({
      replicas: -1,
      worker: {},
      scaling: { maxReplicas: 0 },
      template: { containers: [{ image: 1 }] },
      router: { scheduler: { replicas: 0, config: { inline: { plugins: [{ type: "queue-scorrer" }] } } } },
    });
    const causes = listAt(defaultService(request(wrong), context), "status", "details", "causes");
    const fields = causes.map((cause) => textAt(cause, "field"));
    expect(fields).toEqual(
      expect.arrayContaining([
        "spec.replicas",
        "spec.worker",
        "spec.scaling",
        "spec.scaling.maxReplicas",
        "spec.template.containers[0].name",
        "spec.template.containers[0].image",
        "spec.router.scheduler.replicas",
        "spec.router.scheduler.config.inline.plugins[0].type",
      ]),
    );
    expect(new Set(causes.map((cause) => JSON.stringify(cause))).size).toBe(causes.length);
  });

  test("a scheduler of another make has the last word on its configuration", () => {
    const inline = { plugins: [{ type: "somebody-elses-scorer" }] };
    const template = { containers: [{ name: "main", image: "example.com/epp:1" }] };
    const answer = reviewService(
      request(service({ router: { route: {}, scheduler: { config: { inline }, template } } })),
      context,
    );
    expect(answer["allowed"]).toBe(true);
    expect(JSON.stringify(answer["warnings"])).toContain("somebody-elses-scorer");
  });

  test("an object that is being deleted passes, whatever is in it", () => {
    const leaving = service({ replicas: -1 });
    leaving["metadata"] = { name: "s", deletionTimestamp: "2026-01-01T00:00:00Z" };
    for (const review of [defaultService, reviewService])
      expect(review(request(leaving), context)).toEqual({ allowed: true });
  });

  test("deleting a config in use is a warning: its finalizer keeps it", () => {
    expect(reviewConfig({ operation: "DELETE", namespace: "default", name: "base" }, context)).toEqual({
      allowed: true,
      warnings: ["base stays until no service is built on it: default/s"],
    });
  });

  test("changing a preset is a warning, adding to it is none", () => {
    const preset = (spec: JsonObject): JsonObject => ({ ...config(spec), metadata: { name: "kserve-config-llm-x" } });
    const update = (spec: JsonObject): unknown =>
      reviewConfig(
        {
          ...request(preset(spec)),
          name: "kserve-config-llm-x",
          operation: "UPDATE",
          oldObject: preset({ labels: { a: "1" } }),
        },
        context,
      )["warnings"];
    expect(update({ labels: { a: "2" } })).toEqual([expect.stringContaining("is a preset of the operator")]);
    expect(update({ labels: { a: "1", b: "2" } })).toBeUndefined();
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
