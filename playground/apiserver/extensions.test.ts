import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { JsonObject } from "../../crds/schema/types.ts";
import { at, listOf, textOf } from "./objects.ts";
import {
  CM,
  CRDS,
  WIDGETS,
  call,
  closers,
  configMap,
  current,
  definition,
  must,
  restart,
  useServer,
  watch,
  webhook,
  widget,
} from "./test-server.ts";

useServer();

describe("custom kinds", () => {
  test("are served at once, defaulted, pruned and validated", async () => {
    await must("POST", CRDS, definition());
    const created = await call("POST", WIDGETS, widget("w", { size: 1, extra: true }));
    expect(created.body["spec"]).toEqual({ size: 1, color: "red" });
    expect(created.warnings).toContain("unknown field");
    const strict = await call("POST", `${WIDGETS}?fieldValidation=Strict`, widget("s", { size: 1, extra: true }));
    expect(strict.body).toMatchObject({ code: 400, message: expect.stringContaining('unknown field "spec.extra"') });
    const wrong = await call("POST", WIDGETS, widget("s", { size: 0 }));
    expect(wrong.body).toMatchObject({ code: 422, reason: "Invalid", details: { causes: [{ field: "spec.size" }] } });
    expect(at(await must("GET", `${CRDS}/widgets.example.com`), "status", "conditions", 1, "type")).toBe("Established");
  });

  test("have status and scale apart from the rest", async () => {
    await must("POST", CRDS, definition());
    await must("POST", WIDGETS, { ...widget("w", { size: 1 }), status: { replicas: 9 } });
    expect(at(await must("GET", `${WIDGETS}/w`), "status")).toBeUndefined();
    await must(
      "PATCH",
      `${WIDGETS}/w/status`,
      { spec: { size: 7 }, status: { replicas: 2 } },
      "application/merge-patch+json",
    );
    expect(await must("GET", `${WIDGETS}/w`)).toMatchObject({
      spec: { size: 1 },
      status: { replicas: 2 },
      metadata: { generation: 1 },
    });
    const scale = await must("PATCH", `${WIDGETS}/w/scale`, { spec: { replicas: 4 } }, "application/merge-patch+json");
    expect(scale).toMatchObject({ kind: "Scale", spec: { replicas: 4 }, status: { replicas: 2 } });
    expect(at(await must("GET", `${WIDGETS}/w`), "metadata", "generation")).toBe(2);
  });

  test("go with their definition, and namespaces go with their contents", async () => {
    await must("POST", CRDS, definition());
    await must("POST", WIDGETS, widget("w", { size: 1 }));
    const gone = watch(`${CRDS}?watch=true&fieldSelector=metadata.name%3Dwidgets.example.com`, 3);
    await must("DELETE", `${CRDS}/widgets.example.com`);
    expect((await gone).at(-1)).toMatchObject({ type: "DELETED" });
    expect((await call("GET", WIDGETS)).code).toBe(404);
    await must("POST", CM, configMap("a"));
    const removed = watch("/api/v1/namespaces?watch=true", 3);
    expect(at(await must("DELETE", "/api/v1/namespaces/default"), "status", "phase")).toBe("Terminating");
    expect((await removed).at(-1)).toMatchObject({ type: "DELETED" });
  });

  test("are converted by their webhook", async () => {
    const url = await webhook((review) => {
      const request = review["request"] as JsonObject;
      const convertedObjects = listOf(request["objects"]).map((item) => {
        const object = item as JsonObject;
        const toBeta = request["desiredAPIVersion"] === "example.com/v1beta1";
        const { size, length, ...rest } = object["spec"] as JsonObject;
        return {
          ...object,
          apiVersion: request["desiredAPIVersion"]!,
          spec: toBeta ? { ...rest, length: size! } : { ...rest, size: length! },
        };
      });
      return { uid: request["uid"]!, result: { status: "Success" }, convertedObjects };
    });
    await must(
      "POST",
      CRDS,
      definition({ strategy: "Webhook", webhook: { conversionReviewVersions: ["v1"], clientConfig: url } }),
    );
    const beta = WIDGETS.replace("v1", "v1beta1");
    await must("POST", beta, {
      apiVersion: "example.com/v1beta1",
      kind: "Widget",
      metadata: { name: "w" },
      spec: { length: 3 },
    });
    expect(at(await must("GET", `${WIDGETS}/w`), "spec", "size")).toBe(3);
    expect(at(await must("GET", beta), "items", 0, "spec", "length")).toBe(3);
  });
});

describe("server-side apply over HTTP", () => {
  const APPLY = "application/apply-patch+yaml";
  test("creates, conflicts, and changes nothing when nothing changed", async () => {
    const created = await must("PATCH", `${CM}/a?fieldManager=one`, configMap("a", { x: "1" }), APPLY);
    expect(at(created, "metadata", "managedFields", 0)).toMatchObject({ manager: "one", operation: "Apply" });
    expect(await must("PATCH", `${CM}/a?fieldManager=one`, configMap("a", { x: "1" }), APPLY)).toEqual(created);
    const conflict = await call("PATCH", `${CM}/a?fieldManager=two`, configMap("a", { x: "2" }), APPLY);
    expect(conflict.body).toMatchObject({
      code: 409,
      details: { causes: expect.arrayContaining([expect.objectContaining({ field: ".data.x" })]) },
    });
    const forced = await must("PATCH", `${CM}/a?fieldManager=two&force=true`, configMap("a", { x: "2" }), APPLY);
    expect(forced["data"]).toEqual({ x: "2" });
  });
});

describe("admission webhooks", () => {
  const configuration = (kind: string, clientConfig: JsonObject, extra: JsonObject = {}): JsonObject => ({
    apiVersion: "admissionregistration.k8s.io/v1",
    kind,
    metadata: { name: "hooks" },
    webhooks: [
      {
        name: "hook.example.com",
        clientConfig,
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        rules: [{ operations: ["CREATE", "UPDATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
        ...extra,
      },
    ],
  });
  const path = (phase: string) => `/apis/admissionregistration.k8s.io/v1/${phase}webhookconfigurations`;
  const respond = (answer: (request: JsonObject) => JsonObject) =>
    webhook((review) => answer(review["request"] as JsonObject));

  test("change objects before they are stored", async () => {
    const patch = Buffer.from(JSON.stringify([{ op: "add", path: "/data", value: { added: "yes" } }])).toString(
      "base64",
    );
    const url = await respond(({ uid }) => ({ uid: uid!, allowed: true, patchType: "JSONPatch", patch }));
    await must("POST", path("mutating"), configuration("MutatingWebhookConfiguration", url));
    expect((await must("POST", CM, configMap("a")))["data"]).toEqual({ added: "yes" });
  });

  test("refuse with their own words, warn, and fail as their policy says", async () => {
    const url = await respond(({ uid, name }) => ({
      uid: uid!,
      allowed: name === "good",
      warnings: ["careful"],
      status: { code: 422, message: "no good" },
    }));
    await must("POST", path("validating"), configuration("ValidatingWebhookConfiguration", url));
    const refused = await call("POST", CM, configMap("bad"));
    expect(refused.body).toMatchObject({
      code: 422,
      message: 'admission webhook "hook.example.com" denied the request: no good',
    });
    expect((await call("POST", CM, configMap("good"))).warnings).toContain("careful");
    const dead = { url: "https://127.0.0.1:1/x", caBundle: "" };
    await must("DELETE", `${path("validating")}/hooks`);
    await must("POST", path("validating"), configuration("ValidatingWebhookConfiguration", dead));
    const failed = await call("POST", CM, configMap("b"));
    expect(failed.body).toMatchObject({
      code: 500,
      message: expect.stringContaining('failed calling webhook "hook.example.com"'),
    });
    await must("DELETE", `${path("validating")}/hooks`);
    const ignoring = configuration("ValidatingWebhookConfiguration", dead, { failurePolicy: "Ignore" });
    await must("POST", path("validating"), ignoring);
    await must("POST", CM, configMap("b"));
  });
});

test("webhooks behind a Service are found by its EndpointSlices, and answer under the Service's name", async () => {
  const config = await webhook(
    (review) => ({ uid: at(review, "request", "uid")!, allowed: false, status: { message: "found" } }),
    "hooks.default.svc",
  );
  const { port } = new URL(textOf(config["url"]));
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "hooks" },
    spec: { ports: [{ port: 443, targetPort: 9443 }] },
  };
  await must("POST", "/api/v1/namespaces/default/services", service);
  const client = { service: { name: "hooks", namespace: "default", path: "/x" }, caBundle: config["caBundle"]! };
  const rules = [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }];
  await must("POST", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: "hooks" },
    webhooks: [
      { name: "hook.example.com", clientConfig: client, admissionReviewVersions: ["v1"], sideEffects: "None", rules },
    ],
  });
  expect((await call("POST", CM, configMap("a"))).body["message"]).toContain(
    'no endpoints available for service "hooks"',
  );
  await must("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "hooks-1", labels: { "kubernetes.io/service-name": "hooks" } },
    addressType: "IPv4",
    ports: [{ name: "", port: Number(port), protocol: "TCP" }],
    endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready: true } }],
  });
  expect((await call("POST", CM, configMap("a"))).body["message"]).toBe(
    'admission webhook "hook.example.com" denied the request: found',
  );
});

describe("bodies in protobuf", () => {
  const send = async (bytes: Uint8Array) => {
    const headers = { "content-type": "application/vnd.kubernetes.protobuf" };
    const response = await fetch(`${current().url}${CM}`, { method: "POST", headers, body: Buffer.from(bytes) });
    return { code: response.status, body: (await response.json()) as JsonObject };
  };
  const field = (number: number, value: string | Uint8Array) =>
    Buffer.concat([Buffer.from([number * 8 + 2, Buffer.byteLength(value)]), Buffer.from(value)]);
  const envelope = (kind: string, raw: Uint8Array) =>
    Buffer.concat([Buffer.from("k8s\0"), field(1, Buffer.concat([field(1, "v1"), field(2, kind)])), field(2, raw)]);

  test("are read for the kinds of kubectl's typed commands", async () => {
    const data = field(2, Buffer.concat([field(1, "key"), field(2, "value")]));
    const answer = await send(envelope("ConfigMap", Buffer.concat([field(1, field(1, "a")), data])));
    expect(answer).toMatchObject({ code: 201, body: { metadata: { name: "a" }, data: { key: "value" } } });
  });

  const refused: [string, Uint8Array, RegExp][] = [
    ["without the envelope", Buffer.from("nonsense"), /damaged/],
    ["that end early", envelope("ConfigMap", field(1, field(1, "a"))).subarray(0, -2), /damaged/],
    ["of other kinds", envelope("ResourceQuota", Buffer.alloc(0)), /ResourceQuota of v1 is not read in protobuf/],
    ["with a field outside the table", envelope("ConfigMap", field(9, "x")), /field 9 of ConfigMap is not read/],
  ];
  test.each(refused)("%s are refused", async (_what, bytes, message) => {
    expect(await send(bytes)).toMatchObject({ code: 415, body: { message: expect.stringMatching(message) } });
  });
});

test("state survives a restart", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "llmisvc-apiserver-"));
  closers.push(async () => rmSync(dataDir, { recursive: true, force: true }));
  await restart(dataDir);
  await must("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  await must("POST", CRDS, definition());
  const created = await must("POST", WIDGETS, widget("w", { size: 2 }));
  await restart(dataDir);
  expect(await must("GET", `${WIDGETS}/w`)).toEqual(created);
});
