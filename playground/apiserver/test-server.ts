import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach } from "@jest/globals";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { createSelfSigned } from "../../kube/x509.ts";
import { isObject, nameOf, scalarText } from "./objects.ts";
import { type ApiServer, createApiServer } from "./server.ts";

export const CM = "/api/v1/namespaces/default/configmaps";
export const WIDGETS = "/apis/example.com/v1/namespaces/default/widgets";
export const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

let server: ApiServer;
/** Run after a test, in order. */
export const closers: (() => Promise<unknown>)[] = [];

/** The server of the running test. */
export const current = (): ApiServer => server;

/** Replaces the server of the running test, with the state in a folder. */
export async function restart(dataDir: string): Promise<void> {
  await server.close();
  server = await createApiServer({ dataDir });
}

interface Answer {
  readonly code: number;
  readonly body: JsonObject;
  readonly warnings: string;
}

/** Sends a request and reads the JSON answer. */
export async function call(
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
    body: isJson(response) ? ((await response.json()) as JsonObject) : { text: await response.text() },
    warnings: response.headers.get("warning") ?? "",
  };
}

/** As `call`, and fails where the answer is an error. */
export async function must(method: string, path: string, body?: Json, type?: string): Promise<JsonObject> {
  const answer = await call(method, path, body, type);
  if (answer.code >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** A ConfigMap. */
export const configMap = (name: string, data: JsonObject = {}, labels: JsonObject = {}): JsonObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels },
  data,
});
/** An object of the custom kind of `definition`. */
export const widget = (name: string, spec: JsonObject): JsonObject => ({
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
/** A CustomResourceDefinition with two versions. */
export const definition = (conversion: JsonObject = { strategy: "None" }): JsonObject => ({
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
export async function watch(path: string, count: number): Promise<JsonObject[]> {
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

/** Lines of a watch in short. */
export const typesAndNames = (lines: readonly JsonObject[]) =>
  lines.map((line) => `${scalarText(line["type"])} ${nameOf(line["object"] as JsonObject)}`);

/** A fresh server with the namespace `default` for each test of the file. */
export function useServer(): void {
  beforeEach(async () => {
    server = await createApiServer();
    await must("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  });
  afterEach(async () => {
    await server.close();
    for (const close of closers.splice(0)) await close();
  });
}

/** Starts a webhook on a free port; returns its `clientConfig`. */
export async function webhook(answer: (review: JsonObject) => JsonObject, dnsName = "localhost"): Promise<JsonObject> {
  const notBefore = new Date(Date.now() - 60_000);
  const pair = createSelfSigned({
    organization: "test",
    dnsNames: [dnsName],
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

const isJson = (response: Response): boolean => response.headers.get("content-type")?.includes("json") === true;
