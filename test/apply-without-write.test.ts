import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { foreignDefinitions } from "../crds/foreign.ts";
import { applyIfChanged, needsApply } from "../kube/apply.ts";
import { createKubeClient, type HttpKubeClient } from "../kube/http-client.ts";
import { findResource, KINDS, resourceOf } from "../kube/resources.ts";
import { type KubeObject, keyOf } from "../kube/types.ts";
import { parseYaml } from "../kube/yaml.ts";
import { type ApiServer, createApiServer } from "../playground/apiserver/server.ts";
import { listShared, readShared } from "./corpus.ts";
import { elided } from "./kserve-state.ts";
import { plainAccess } from "./loopback.ts";

const US = { fieldManager: "us", force: true };
const FILES = listShared("corpus/golden/kserve/samples", ".yaml");

let server: ApiServer;
let client: HttpKubeClient;

beforeAll(async () => {
  server = await createApiServer();
  client = createKubeClient(plainAccess(server.url));
  const definitions = [...customResourceDefinitions(), ...foreignDefinitions()] as unknown as KubeObject[];
  for (const definition of definitions) await client.create(definition);
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "ns" } });
});

afterAll(async () => {
  client.close();
  await server.close();
});

/** Children that a KServe controller made, as objects to apply: without status and without what is a server's to give. */
function recordedChildren(path: string): KubeObject[] {
  const { children } = parseYaml(readShared(path)) as unknown as { children?: KubeObject[] };
  return (children ?? [])
    .filter((child) => findResource(child) !== undefined && child.kind !== "Event")
    .map((child) => {
      const { name, labels, annotations } = child.metadata;
      const namespace = resourceOf(child).namespaced ? { namespace: "ns" } : {};
      const data = child.kind === KINDS.Secret.kind ? { data: elided(child["data"]) } : {};
      return { ...child, ...data, status: undefined, metadata: { name, labels, annotations, ...namespace } };
    });
}

test("every recorded child, once applied, needs no second write, and the server agrees that it changes nothing", async () => {
  const needless: string[] = [];
  const restless: string[] = [];
  let count = 0;
  for (const path of FILES)
    for (const child of recordedChildren(path)) {
      count++;
      const { object } = await applyIfChanged(client, undefined, child, US);
      if (needsApply(object, child, US)) needless.push(`${path} ${child.kind} ${keyOf(child.metadata)}`);
      const again = await client.apply(child, US);
      if (again.metadata.resourceVersion !== object.metadata.resourceVersion) restless.push(`${path} ${child.kind}`);
      await client.delete(resourceOf(child), child.metadata, { gracePeriodSeconds: 0 });
    }
  expect(needless).toEqual([]);
  expect(restless).toEqual([]);
  expect(count).toBeGreaterThan(20);
}, 60_000);

test("a change by another manager, or to what is stated, is written", async () => {
  const child: KubeObject = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a", namespace: "ns" },
    data: { key: "value" },
  };
  const { object } = await applyIfChanged(client, undefined, child, US);
  expect(needsApply(object, { ...child, data: { key: "other" } }, US)).toBe(true);
  expect(needsApply(object, { ...child, data: {} }, US)).toBe(true);
  const body = { data: { key: "theirs" } };
  const edited = await client.patch(KINDS.ConfigMap, child.metadata, { type: "merge", body }, { fieldManager: "them" });
  expect(needsApply(edited, child, US)).toBe(true);
  const extended = await client.patch(
    KINDS.ConfigMap,
    (await client.apply(child, US)).metadata,
    { type: "merge", body: { data: { more: "theirs" } } },
    { fieldManager: "them" },
  );
  expect(needsApply(extended, child, US)).toBe(false);
});
