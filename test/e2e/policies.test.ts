import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { JsonObject } from "../../crds/schema/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { type ApiServer, createApiServer } from "../../playground/apiserver/server.ts";
import { listShared, readShared } from "../corpus.ts";
import { createExtProcClient, type ExtProcClient } from "../extproc-client.ts";
import { plain, type PlainAnswer } from "../extproc-exchange.ts";
import { POST, requestBody, requestHeaders } from "../extproc-messages.ts";
import { ROOT, type Running, start } from "./process.ts";
import { until } from "../../playground/until.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const NAMESPACE = "/namespaces/default";
const POOLS = `/apis/inference.networking.k8s.io/v1${NAMESPACE}/inferencepools`;
const OBJECTIVES = `/apis/llm-d.ai/v1alpha2${NAMESPACE}/inferenceobjectives`;
const REWRITES = `/apis/llm-d.ai/v1alpha2${NAMESPACE}/inferencemodelrewrites`;
const PODS = `/api/v1${NAMESPACE}/pods`;
const poolRef = { name: "pool" };

let folder: string;
let server: ApiServer;
let scheduler: Running;
let client: ExtProcClient;
let metricsPort: number;

async function send(method: string, path: string, body?: JsonObject, type = "application/json"): Promise<void> {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const answer = await fetch(server.url + path, { method, headers: { "content-type": type }, ...init });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${await answer.text()}`);
}

const llmd = (kind: string, name: string, spec: JsonObject): JsonObject => ({
  apiVersion: "llm-d.ai/v1alpha2",
  kind,
  metadata: { name },
  spec: { poolRef, ...spec },
});

async function createPool(): Promise<void> {
  await send("POST", POOLS, {
    apiVersion: "inference.networking.k8s.io/v1",
    kind: "InferencePool",
    metadata: { name: "pool" },
    spec: {
      selector: { matchLabels: { app: "m" } },
      targetPorts: [{ number: 8000 }],
      endpointPickerRef: { name: "epp", port: { number: 9002 } },
    },
  });
  const containers = [{ name: "main", image: "example.com/model-server" }];
  await send("POST", PODS, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "m-0", labels: { app: "m" } },
    spec: { containers },
  });
  const status = { phase: "Running", podIP: "127.0.0.9", conditions: [{ type: "Ready", status: "True" }] };
  await send("PATCH", `${PODS}/m-0/status`, { status }, "application/merge-patch+json");
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "llmisvc-policies-"));
  server = await createApiServer();
  await send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  const wanted = /llm-d\.ai_inference|gie\/v1\.6\.0\/inference\.networking\.k8s\.io_inferencepools/;
  // The files are definitions as their projects publish them.
  for (const path of listShared("reference/crds", ".yaml").filter((name) => wanted.test(name)))
    await send("POST", CRDS, parseYaml(readShared(path)) as unknown as JsonObject);
  await createPool();
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, server.kubeconfig());
  const ports = ["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"];
  const flags = ["--pool-name=pool", "--secure-serving=false", "--drain-timeout=300ms", ...ports];
  const env = { KUBECONFIG: kubeconfig, LLMISVC_BIND_ADDRESS: "127.0.0.1" };
  scheduler = start(join(ROOT, "bin/node"), ["cmd/scheduler/main.ts", ...flags], env);
  const [, line = ""] = await scheduler.output(/^(\{.*"msg":"listening".*\})$/m, 30_000);
  const listening = JSON.parse(line) as { readonly grpc: number; readonly metrics: number };
  metricsPort = listening.metrics;
  client = createExtProcClient(`127.0.0.1:${listening.grpc}`);
}, 60_000);

afterAll(async () => {
  client?.close();
  scheduler?.child.kill("SIGKILL");
  await server?.close();
  rmSync(folder, { recursive: true });
});

/** The first two answers to a completion. */
async function complete(headers: Readonly<Record<string, string>> = {}): Promise<readonly PlainAnswer[]> {
  const stream = client.open();
  stream.send(requestHeaders({ ...POST, ...headers }));
  stream.send(requestBody('{"model":"public","prompt":"hello"}'));
  const first = plain(await stream.next());
  const answers = first.kind === "request_headers" ? [first, plain(await stream.next())] : [first];
  stream.halfClose();
  return answers;
}

const modelOf = async (): Promise<unknown> => {
  const [, body] = await complete();
  return body?.part === undefined ? undefined : (JSON.parse(body.part) as { readonly model: unknown }).model;
};

test("a rewrite takes effect, changes and ends while the scheduler runs", async () => {
  await until("the pod", async () => (await modelOf()) === "public");
  const rules = (model: string): JsonObject[] => [
    { matches: [{ model: { value: "public" } }], targets: [{ modelRewrite: model }] },
  ];
  await send("POST", REWRITES, llmd("InferenceModelRewrite", "r", { rules: rules("lora-1") }));
  await until("the rewrite", async () => (await modelOf()) === "lora-1");
  await send("PATCH", `${REWRITES}/r`, { spec: { rules: rules("lora-2") } }, "application/merge-patch+json");
  await until("its change", async () => (await modelOf()) === "lora-2");
  await send("DELETE", `${REWRITES}/r`);
  await until("its end", async () => (await modelOf()) === "public");
}, 30_000);

test("an objective gives its priority to requests that name it", async () => {
  await send("POST", OBJECTIVES, llmd("InferenceObjective", "urgent", { priority: 9 }));
  await until("the priority", async () => {
    await complete({ "x-llm-d-inference-objective": "urgent" });
    const page = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    return /^llm_d_epp_request_total\{.*priority="9"\} [1-9]/m.test(page);
  });
}, 30_000);

test("told to end, it lets open streams finish, and then ends well", async () => {
  const stream = client.open();
  stream.send(requestHeaders(POST));
  await until("the open stream", async () => {
    const page = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    return page.includes("endpoint_picker_open_streams 1");
  });
  scheduler.child.kill("SIGTERM");
  await scheduler.output(/"msg":"draining"/, 5000);
  stream.send(requestBody('{"model":"public","prompt":"hello"}'));
  expect(plain(await stream.next()).set).toMatchObject({ "x-gateway-destination-endpoint": "127.0.0.9:8000" });
  stream.halfClose();
  expect(await stream.status).toBe(0);
  client.close();
  expect((await scheduler.finished).code).toBe(0);
}, 30_000);
