import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type ApiServer, createApiServer } from "../playground/apiserver/server.ts";
import type { KubeObject } from "./types.ts";
import { type HttpKubeClient, createKubeClient, loadKubeConfig } from "./http-client.ts";
import { KINDS, type Resource } from "./resources.ts";
import { migrateStorage } from "./storage-migration.ts";

const WIDGETS: Resource = { apiVersion: "example.com/v2", kind: "Widget", plural: "widgets", namespaced: true };
const OPTIONS = { fieldManager: "test" };

/** The definition of Widget with the storage version that is asked for. */
function definition(storage: string): KubeObject {
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  const versions = ["v2", "v1"].map((name) => ({ name, served: true, storage: name === storage, schema }));
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "widgets.example.com" },
    spec: { group: "example.com", scope: "Namespaced", names: { plural: "widgets", kind: "Widget" }, versions },
  } as KubeObject;
}

describe("migration of stored objects", () => {
  let server: ApiServer;
  let client: HttpKubeClient;

  beforeEach(async () => {
    server = await createApiServer();
    client = createKubeClient(await loadKubeConfig({ text: server.kubeconfig() }));
    await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  });
  afterEach(async () => {
    client.close();
    await server.close();
  });

  const storedVersions = async (): Promise<unknown> => {
    const found = await client.get(KINDS.CustomResourceDefinition, { name: "widgets.example.com" });
    return (found["status"] as { storedVersions?: unknown }).storedVersions;
  };

  test("writes every object again, then forgets the former version, and has nothing to do a second time", async () => {
    await client.create(definition("v1"));
    const old = { ...WIDGETS, apiVersion: "example.com/v1" };
    for (const name of ["a", "b"]) await post(server, { ...object(name), apiVersion: old.apiVersion });
    const crd = await client.get(KINDS.CustomResourceDefinition, { name: "widgets.example.com" });
    await client.update({ ...definition("v2"), metadata: crd.metadata } as KubeObject);
    expect(await storedVersions()).toEqual(["v1", "v2"]);
    const before = await client.list(WIDGETS, { namespace: "default" });

    expect(await migrateStorage(client, WIDGETS, OPTIONS)).toEqual({ rewritten: 2, dropped: ["v1"] });
    expect(await storedVersions()).toEqual(["v2"]);
    const after = await client.list(WIDGETS, { namespace: "default" });
    for (const [index, item] of after.items.entries()) {
      expect(item["spec"]).toEqual({ size: 1 });
      expect(item.metadata.generation).toBe(before.items[index]!.metadata.generation);
      expect(item.metadata.resourceVersion).not.toBe(before.items[index]!.metadata.resourceVersion);
    }
    expect(await migrateStorage(client, WIDGETS, OPTIONS)).toEqual({ rewritten: 0, dropped: [] });
  });
});

const object = (name: string) => ({ kind: "Widget", metadata: { name, namespace: "default" }, spec: { size: 1 } });

async function post(server: ApiServer, body: { apiVersion: string }): Promise<void> {
  const response = await fetch(`${server.url}/apis/${body.apiVersion}/namespaces/default/widgets`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(201);
}
