import { describe, expect, test } from "@jest/globals";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { at, listOf, nameOf, scalarText } from "./objects.ts";
import { CM, call, configMap, current, must, typesAndNames, useServer, watch } from "./test-server.ts";

useServer();

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
    expect(await must("DELETE", `${path}/free`)).toMatchObject({ kind: "Pod" });
    expect(at(await must("DELETE", `${path}/bound`), "metadata", "deletionGracePeriodSeconds")).toBe(30);
    expect(await must("DELETE", `${path}/bound`, { gracePeriodSeconds: 0 })).toMatchObject({ kind: "Pod" });
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
    current().compact();
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
    current().compact();
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
      message: "hello",
      involvedObject: { name: "p" },
      reportingComponent: "c",
    });
  });
});
