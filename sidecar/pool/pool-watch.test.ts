import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { foreignDefinitions } from "../../crds/foreign.ts";
import type { KubeClient } from "../../kube/client.ts";
import { createKubeClient, type HttpKubeClient } from "../../kube/http-client.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { KubeError, type KubeObject } from "../../kube/types.ts";
import { type ApiServer, createApiServer } from "../../playground/apiserver/server.ts";
import { until } from "../../playground/until.ts";
import { plainAccess } from "../../test/loopback.ts";
import { ask, answerJson, startEngine, startSidecar } from "../../test/sidecar-bed.ts";
import { canonicalHost, podHosts, poolSelector } from "./allow-list.ts";
import { watchPool } from "./pool-watch.ts";
import { silentLogger } from "../../telemetry/log.ts";

let server: ApiServer;
let client: HttpKubeClient;

beforeAll(async () => {
  server = await createApiServer();
  client = createKubeClient(plainAccess(server.url));
  for (const definition of foreignDefinitions() as unknown as KubeObject[])
    if (definition.metadata.name.startsWith("inferencepools.")) await client.create(definition);
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "ns" } });
});

afterAll(async () => {
  client.close();
  await server.close();
});

const poolV1 = (name: string, app: string): KubeObject => ({
  apiVersion: KINDS.InferencePool.apiVersion,
  kind: "InferencePool",
  metadata: { name, namespace: "ns" },
  spec: {
    selector: { matchLabels: { app } },
    targetPorts: [{ number: 8000 }],
    endpointPickerRef: { name: "epp", port: { number: 9002 } },
  },
});

async function createPod(name: string, app: string, podIP: string): Promise<void> {
  const metadata = { name, namespace: "ns", labels: { app } };
  const spec = { containers: [{ name: "main", image: "x" }] };
  const pod = await client.create({ apiVersion: "v1", kind: "Pod", metadata, spec });
  await client.updateStatus({
    ...pod,
    status: { phase: "Running", podIP, podIPs: [{ ip: podIP }, { ip: "FD00::0:1" }] },
  });
}

/** A role that does not permit pools of the group v1. */
const restricted = (): Pick<KubeClient, "list" | "watch"> => ({
  list: (resource: Resource, options) => {
    if (resource === KINDS.InferencePool) throw new KubeError({ code: 403, reason: "Forbidden", message: "no" });
    return client.list(resource, options);
  },
  watch: (resource, options) => client.watch(resource, options),
});

describe("the pods of a pool", () => {
  test("are allowed by address and name as they come and go", async () => {
    const pool = { namespace: "ns", name: "p1", group: "inference.networking.x-k8s.io" };
    const list = watchPool({ client, pool, logger: silentLogger });
    expect(list.allows("10.0.0.1")).toBe(false);
    await createPod("a-1", "a", "10.0.0.1");
    await createPod("b-1", "b", "10.0.0.2");
    await client.create(poolV1("p1", "a"));
    await until("the pod is allowed", () => list.allows("10.0.0.1"), { pollMs: 5 });
    expect(["A-1", "fd00::1", "10.0.0.2", "b-1", "localhost"].map((host) => list.allows(host))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    await client.delete(KINDS.Pod, { namespace: "ns", name: "a-1" }, { gracePeriodSeconds: 0 });
    await until("the pod is not allowed any more", () => !list.allows("10.0.0.1"), { pollMs: 5 });
    await list.close();
  });

  test("are found by the group that a role permits", async () => {
    const metadata = { name: "p2", namespace: "ns" };
    const spec = {
      selector: { app: "b" },
      targetPortNumber: 8000,
      extensionRef: { name: "epp", failureMode: "FailOpen" },
    };
    await client.create({ ...KINDS.InferencePoolV1Alpha2, metadata, spec } as unknown as KubeObject);
    const pool = { namespace: "ns", name: "p2", group: "inference.networking.k8s.io" };
    const list = watchPool({ client: restricted(), pool, logger: silentLogger });
    await until("the pod is allowed", () => list.allows("10.0.0.2"), { pollMs: 5 });
    await list.close();
  });
});

test("prefill goes to pods of the pool only; requests without it are served before the pool is known", async () => {
  const prefill = await startEngine((_seen, response) => answerJson(response, { kv_transfer_params: 1 }));
  const local = await startEngine((_seen, response) => answerJson(response, {}));
  const args = ["--enable-ssrf-protection", "--inference-pool=ns/p3"];
  const sidecar = await startSidecar(local.port, args, { connect: async () => client });
  const port = sidecar.ports[0]!;
  const send = (headers: Readonly<Record<string, string>>) => ask(port, "/v1/completions", { headers, body: "{}" });
  const named = { "x-prefiller-host-port": prefill.hostPort };
  expect((await send({})).status).toBe(200);
  expect(await send(named)).toMatchObject({
    status: 403,
    text: "Forbidden: prefill target not allowed by SSRF protection\n",
  });
  expect([prefill.seen.length, local.seen.length]).toEqual([0, 1]);
  await createPod("c-1", "c", "127.0.0.1");
  await client.create(poolV1("p3", "c"));
  await until("prefill is allowed", async () => (await send(named)).status === 200, { pollMs: 10 });
  expect(prefill.seen).toHaveLength(1);
  await sidecar.stop(0);
  await Promise.all([prefill.close(), local.close()]);
});

test.each([
  [{ selector: { matchLabels: { b: "2", a: "1" } } }, "a=1,b=2"],
  [{ selector: { a: "1" } }, "a=1"],
  [{ selector: {} }, undefined],
  [{}, undefined],
])("%j selects %s", (spec, expected) => {
  expect(poolSelector({ apiVersion: "v1", kind: "InferencePool", metadata: { name: "p" }, spec })).toBe(expected);
});

test("a pod without an address goes by its name", () => {
  expect(podHosts({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" } })).toEqual(["p"]);
  expect(canonicalHost("FD00:0:0::1")).toBe("fd00::1");
});
