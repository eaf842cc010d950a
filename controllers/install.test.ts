import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { createKubeClient, type HttpKubeClient, loadKubeConfig } from "../kube/http-client.ts";
import { KINDS } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { type ApiServer, createApiServer } from "../playground/apiserver/server.ts";
import { MANAGER_ROLE, install, webhookConfigurations } from "./install.ts";

const INSTALLATION = { systemNamespace: "kserve", authority: "certificate", presets: [] };
let api: ApiServer;
let client: HttpKubeClient;

beforeAll(async () => {
  api = await createApiServer();
  client = createKubeClient(await loadKubeConfig({ text: api.kubeconfig() }));
  for (const definition of customResourceDefinitions()) await client.create(definition as unknown as KubeObject);
}, 30_000);
afterAll(async () => {
  client.close();
  await api.close();
});

const webhooks = async (): Promise<KubeObject[]> =>
  await Promise.all([
    client.get(KINDS.MutatingWebhookConfiguration, { name: "llminferenceservice.serving.kserve.io" }),
    client.get(KINDS.ValidatingWebhookConfiguration, { name: "llminferenceservice.serving.kserve.io" }),
    client.get(KINDS.ValidatingWebhookConfiguration, { name: "llminferenceserviceconfig.serving.kserve.io" }),
  ]);

test("without a ClusterRole they stand alone, and a second installation writes nothing", async () => {
  await install(client, INSTALLATION);
  const before = await webhooks();
  expect(before).toHaveLength(webhookConfigurations(INSTALLATION).length);
  expect(before.flatMap(({ metadata }) => metadata.ownerReferences ?? [])).toEqual([]);
  await install(client, INSTALLATION);
  expect((await webhooks()).map(({ metadata }) => metadata.resourceVersion)).toEqual(
    before.map(({ metadata }) => metadata.resourceVersion),
  );
});

test("webhooks go with the ClusterRole of the operator", async () => {
  const role = await client.create({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: MANAGER_ROLE },
    rules: [],
  });
  await install(client, INSTALLATION);
  const owner = { apiVersion: role.apiVersion, kind: "ClusterRole", name: MANAGER_ROLE, uid: role.metadata.uid };
  for (const { metadata } of await webhooks()) expect(metadata.ownerReferences).toEqual([owner]);
});
