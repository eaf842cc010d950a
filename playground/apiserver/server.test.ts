import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { createSelfSigned } from "../../kube/x509.ts";
import { at, isObject, listOf, nameOf, scalarText } from "./objects.ts";
import { type ApiServer, createApiServer } from "./server.ts";

const CM = "/api/v1/namespaces/default/configmaps";
const WIDGETS = "/apis/example.com/v1/namespaces/default/widgets";
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

let server: ApiServer;
const closers: (() => Promise<unknown>)[] = [];

interface Answer {
  readonly code: number;
  readonly body: JsonObject;
  readonly warnings: string;
}

async function call(
  method: string,
  path: string,
  body?: Json,
  type = "application/json",
  accept = "application/json",
): Promise<Answer> {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${server.url}${path}`, { method, headers: { "content-type": type, accept }, ...init });
  return {
    code: response.status,
    body: (await response.json()) as JsonObject,
    warnings: response.headers.get("warning") ?? "",
  };
}

async function must(method: string, path: string, body?: Json, type?: string): Promise<JsonObject> {
  const answer = await call(method, path, body, type);
  if (answer.code >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

const configMap = (name: string, data: JsonObject = {}, labels: JsonObject = {}): JsonObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels },
  data,
});
const widget = (name: string, spec: JsonObject): JsonObject => ({
  apiVersion: "example.com/v1",
  kind: "Widget",
  metadata: { name },
  spec,
});
const SCHEMA = {
  openAPIV3Schema: {
    type: "object",
    properties: {
      spec: {
        type: "object",
        required: ["size"],
        properties: {
          size: { type: "integer", minimum: 1 },
          color: { type: "string", default: "red" },
          replicas: { type: "integer" },
        },
      },
      status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  },
};
const definition = (conversion: JsonObject = { strategy: "None" }): JsonObject => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "widgets", kind: "Widget", shortNames: ["wd"] },
    conversion,
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: SCHEMA,
        subresources: {
          status: {},
          scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
        },
        additionalPrinterColumns: [{ name: "Size", type: "integer", jsonPath: ".spec.size" }],
      },
      {
        name: "v1beta1",
        served: true,
        storage: false,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
});

/** Reads a watch until `count` lines came. */
async function watch(path: string, count: number): Promise<JsonObject[]> {
  const abort = new AbortController();
  const response = await fetch(`${server.url}${path}`, { signal: abort.signal });
  const lines: JsonObject[] = [];
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts.map((line) => JSON.parse(line) as JsonObject));
    if (lines.length >= count) break;
  }
  abort.abort();
  return lines;
}

const typesAndNames = (lines: readonly JsonObject[]) =>
  lines.map((line) => `${scalarText(line["type"])} ${nameOf(line["object"] as JsonObject)}`);

beforeEach(async () => {
  server = await createApiServer();
  await must("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
});
afterEach(async () => {
  await server.close();
  for (const close of closers.splice(0)) await close();
});

describe("objects", () => {
  test("are created, read, replaced and deleted", async () => {
    const created = await call("POST", CM, configMap("a", { x: "1" }));
    expect(created.code).toBe(201);
    expect(await must("GET", `${CM}/a`)).toEqual(created.body);
    const replaced = await must("PUT", `${CM}/a`, { ...created.body, data: { x: "2" } });
    expect(Number(at(replaced, "metadata", "resourceVersion"))).toBeGreaterThan(
      Number(at(created.body, "metadata", "resourceVersion")),
    );
    expect((await call("PUT", `${CM}/a`, { ...created.body, data: { x: "3" } })).body).toMatchObject({
      reason: "Conflict",
      code: 409,
    });
    expect(await must("DELETE", `${CM}/a`)).toMatchObject({ status: "Success" });
    expect((await call("GET", `${CM}/a`)).body).toMatchObject({
      reason: "NotFound",
      message: 'configmaps "a" not found',
      code: 404,
    });
  });

  test("keep their version through writes that change nothing", async () => {
    const created = await must("POST", CM, configMap("a", { x: "1" }));
    const again = await must("PATCH", `${CM}/a`, { data: { x: "1" } }, "application/merge-patch+json");
    expect(again).toEqual(created);
  });

  const refused: [string, string, Json, number, RegExp][] = [
    ["a name that exists", CM, configMap("taken"), 409, /already exists/],
    ["a name that is none", CM, configMap("Not_A_Name"), 422, /metadata\.name: Invalid value.*RFC 1123/],
    ["no name", CM, configMap(""), 422, /name or generateName is required/],
    ["a label that is none", CM, configMap("b", {}, { "a b": "c" }), 422, /metadata\.labels/],
    [
      "another kind",
      CM,
      { apiVersion: "v1", kind: "Secret", metadata: { name: "b" } },
      400,
      /does not match the expected kind/,
    ],
    [
      "a namespace that does not exist",
      CM.replace("default", "none"),
      configMap("b"),
      404,
      /namespaces "none" not found/,
    ],
    ["an unknown kind", "/apis/none/v1/things", {}, 404, /could not find the requested resource/],
  ];
  test.each(refused)("%s is refused", async (_what, path, body, code, message) => {
    await must("POST", CM, configMap("taken"));
    const answer = await call("POST", path, body);
    expect(answer.code).toBe(code);
    expect(answer.body["message"]).toMatch(message);
  });

  test("a selector that does not fit, and a selector that changes, are refused", async () => {
    const path = "/apis/apps/v1/namespaces/default/deployments";
    const spec = (app: string, label: string) => ({
      selector: { matchLabels: { app } },
      template: { metadata: { labels: { app: label } }, spec: { containers: [{ name: "c", image: "i" }] } },
    });
    const deployment = (app: string, label: string) => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d" },
      spec: spec(app, label),
    });
    expect((await call("POST", path, deployment("a", "b"))).body["message"]).toContain(
      "`selector` does not match template `labels`",
    );
    await must("POST", path, deployment("a", "a"));
    expect((await call("PUT", `${path}/d`, deployment("b", "b"))).body["message"]).toMatch(
      /spec\.selector: Invalid value.*field is immutable/,
    );
  });

  test("get generated names, and dry runs store nothing", async () => {
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "x-" } };
    expect(nameOf(await must("POST", CM, object))).toMatch(/^x-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    await must("POST", `${CM}?dryRun=All`, configMap("dry"));
    expect((await call("GET", `${CM}/dry`)).code).toBe(404);
  });

  test("with finalizers wait for the last of them", async () => {
    await must("POST", CM, { ...configMap("a"), metadata: { name: "a", finalizers: ["example.com/f"] } });
    const marked = await must("DELETE", `${CM}/a`);
    expect(at(marked, "metadata", "deletionTimestamp")).toBeDefined();
    await must("PATCH", `${CM}/a`, { metadata: { finalizers: null } }, "application/merge-patch+json");
    expect((await call("GET", `${CM}/a`)).code).toBe(404);
  });

  test("deletes respect preconditions and propagation", async () => {
    await must("POST", CM, configMap("a"));
    expect((await call("DELETE", `${CM}/a`, { preconditions: { uid: "other" } })).code).toBe(409);
    const marked = await must("DELETE", `${CM}/a`, { propagationPolicy: "Foreground" });
    expect(at(marked, "metadata", "finalizers")).toEqual(["foregroundDeletion"]);
  });

  test("pods on a node end gracefully, others at once", async () => {
    const path = "/api/v1/namespaces/default/pods";
    const pod = (name: string, nodeName?: string): JsonObject => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec: { containers: [{ name: "c", image: "i" }], ...(nodeName === undefined ? {} : { nodeName }) },
    });
    await must("POST", path, pod("free"));
    await must("POST", path, pod("bound", "n"));
    expect(await must("DELETE", `${path}/free`)).toMatchObject({ status: "Success" });
    expect(at(await must("DELETE", `${path}/bound`), "metadata", "deletionGracePeriodSeconds")).toBe(30);
    expect(await must("DELETE", `${path}/bound`, { gracePeriodSeconds: 0 })).toMatchObject({ status: "Success" });
  });

  test("concurrent patches all arrive", async () => {
    await must("POST", CM, configMap("a"));
    const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);
    await Promise.all(
      keys.map((key) => must("PATCH", `${CM}/a`, { data: { [key]: "v" } }, "application/merge-patch+json")),
    );
    expect(Object.keys(at(await must("GET", `${CM}/a`), "data") as JsonObject).sort()).toEqual(keys.sort());
  });

  test("strategic patches merge containers by name", async () => {
    const path = "/apis/apps/v1/namespaces/default/deployments";
    const template = {
      metadata: { labels: { app: "a" } },
      spec: {
        containers: [
          { name: "one", image: "1" },
          { name: "two", image: "2" },
        ],
      },
    };
    await must("POST", path, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d" },
      spec: { selector: { matchLabels: { app: "a" } }, template },
    });
    const patch = { spec: { template: { spec: { containers: [{ name: "two", image: "3" }] } } } };
    const patched = await must("PATCH", `${path}/d`, patch, "application/strategic-merge-patch+json");
    const images = listOf(at(patched, "spec", "template", "spec", "containers")).map((item) => at(item, "image"));
    expect(images).toEqual(["1", "3"]);
    expect(at(patched, "metadata", "generation")).toBe(2);
  });
});

describe("lists and watches", () => {
  test("pages show one state, whatever is written meanwhile", async () => {
    for (const name of ["a", "b", "c", "d", "e"]) await must("POST", CM, configMap(name));
    const first = await must("GET", `${CM}?limit=2`);
    expect(at(first, "metadata", "remainingItemCount")).toBe(3);
    await must("DELETE", `${CM}/d`);
    await must("POST", CM, configMap("c2"));
    const token = at(first, "metadata", "continue");
    const second = await must("GET", `${CM}?limit=9&continue=${scalarText(token)}`);
    expect(listOf(second["items"]).map((item) => at(item, "metadata", "name"))).toEqual(["c", "d", "e"]);
    server.compact();
    await must("POST", CM, configMap("z"));
    expect((await call("GET", `${CM}?continue=${scalarText(token)}`)).body).toMatchObject({
      code: 410,
      reason: "Expired",
    });
  });

  test("selectors choose, and watches show what enters and leaves a selection", async () => {
    await must("POST", CM, configMap("a", {}, { app: "x" }));
    await must("POST", CM, configMap("b", {}, { app: "y" }));
    const list = await must("GET", `${CM}?labelSelector=app%3Dx`);
    expect(listOf(list["items"]).map((item) => at(item, "metadata", "name"))).toEqual(["a"]);
    const lines = watch(
      `${CM}?watch=true&labelSelector=app%3Dx&resourceVersion=${scalarText(at(list, "metadata", "resourceVersion"))}`,
      3,
    );
    await must("PATCH", `${CM}/b`, { metadata: { labels: { app: "x" } } }, "application/merge-patch+json");
    await must("PATCH", `${CM}/a`, { data: { k: "v" } }, "application/merge-patch+json");
    await must("PATCH", `${CM}/b`, { metadata: { labels: { app: "z" } } }, "application/merge-patch+json");
    expect(typesAndNames(await lines)).toEqual(["ADDED b", "MODIFIED a", "DELETED b"]);
  });

  test("a streaming list ends with a marked bookmark", async () => {
    await must("POST", CM, configMap("a"));
    const lines = await watch(
      `${CM}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
      2,
    );
    expect(typesAndNames(lines)).toEqual(["ADDED a", "BOOKMARK "]);
    expect(at(lines[1], "object", "metadata", "annotations", "k8s.io/initial-events-end")).toBe("true");
  });

  test("a watch from a forgotten version is told 410", async () => {
    await must("POST", CM, configMap("a"));
    server.compact();
    await must("POST", CM, configMap("b"));
    const [line] = await watch(`${CM}?watch=true&resourceVersion=1`, 1);
    expect(line).toMatchObject({ type: "ERROR", object: { code: 410, reason: "Expired" } });
  });

  test("tables have the kind's columns", async () => {
    await must("POST", CM, configMap("a", { x: "1", y: "2" }));
    const { body } = await call(
      "GET",
      CM,
      undefined,
      undefined,
      "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    );
    expect(listOf(body["columnDefinitions"]).map((column) => at(column, "name"))).toEqual(["Name", "Data", "Age"]);
    expect(at(body, "rows", 0, "cells")).toEqual(["a", 2, expect.stringMatching(/^\d+s$/)]);
  });

  test("both groups of Event are one storage", async () => {
    const event = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: "e" },
      regarding: { kind: "Pod", name: "p" },
      note: "hello",
      reportingController: "c",
    };
    await must("POST", "/apis/events.k8s.io/v1/namespaces/default/events", event);
    const found = await must("GET", "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp");
    expect(at(found, "items", 0)).toMatchObject({
      apiVersion: "v1",
      message: "hello",
      involvedObject: { name: "p" },
      reportingComponent: "c",
    });
  });
});

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
      details: { causes: [{ reason: "FieldManagerConflict", field: ".data.x" }] },
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
    await must("PUT", `${path("validating")}/hooks`, configuration("ValidatingWebhookConfiguration", dead));
    const failed = await call("POST", CM, configMap("b"));
    expect(failed.body).toMatchObject({
      code: 500,
      message: expect.stringContaining('failed calling webhook "hook.example.com"'),
    });
    await must(
      "PUT",
      `${path("validating")}/hooks`,
      configuration("ValidatingWebhookConfiguration", dead, { failurePolicy: "Ignore" }),
    );
    await must("POST", CM, configMap("b"));
  });
});

test("state survives a restart", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "llmisvc-apiserver-"));
  closers.push(async () => rmSync(dataDir, { recursive: true, force: true }));
  await server.close();
  server = await createApiServer({ dataDir });
  await must("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  await must("POST", CRDS, definition());
  const created = await must("POST", WIDGETS, widget("w", { size: 2 }));
  await server.close();
  server = await createApiServer({ dataDir });
  expect(await must("GET", `${WIDGETS}/w`)).toEqual(created);
});

/** Starts a webhook on a free port; returns its `clientConfig`. */
async function webhook(answer: (review: JsonObject) => JsonObject): Promise<JsonObject> {
  const notBefore = new Date(Date.now() - 60_000);
  const pair = createSelfSigned({
    organization: "test",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    notBefore,
    notAfter: new Date(notBefore.getTime() + 3_600_000),
  });
  const hook = createServer({ key: pair.privateKey, cert: pair.certificate }, (request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    request.once("end", () => {
      const review: unknown = JSON.parse(text);
      if (!isObject(review)) throw new Error("no review");
      response.end(
        JSON.stringify({ apiVersion: review["apiVersion"], kind: review["kind"], response: answer(review) }),
      );
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", () => resolve()));
  closers.push(() => new Promise((resolve) => hook.close(resolve)));
  const { port } = hook.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(pair.certificate).toString("base64") };
}
