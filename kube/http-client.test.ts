import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "@jest/globals";
import { listenOnLoopback, plainAccess } from "../test/loopback.ts";
import { listAll } from "./client.ts";
import {
  createKubeClient,
  currentNamespace,
  type HttpKubeClient,
  type KubeClientOptions,
  loadKubeConfig,
} from "./http-client.ts";
import { KINDS } from "./resources.ts";
import { KubeError, type KubeObject } from "./types.ts";
import { createSelfSigned } from "./x509.ts";
import { collect } from "../test/collect.ts";

interface Seen {
  readonly line: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

type Answer = (request: Seen, response: ServerResponse) => void;

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A client of a server that answers as told, and what the server saw. */
async function clientOf(answer: Answer, options: KubeClientOptions = {}) {
  const seen: Seen[] = [];
  const server = await listenOnLoopback((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      seen.push({ line: `${request.method} ${decodeURIComponent(request.url ?? "")}`, headers: request.headers, body });
      answer(seen.at(-1)!, response);
    });
  });
  const client = createKubeClient(plainAccess(server.url), options);
  closers.push(
    () => server.close(),
    () => client.close(),
  );
  return { client, seen };
}

const CONFIG_MAP: KubeObject = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", namespace: "n" },
  data: { k: "v" },
};
const KEY = { namespace: "n", name: "a" };
const answerWith =
  (value: unknown, code = 200): Answer =>
  (_request, response) => {
    response.statusCode = code;
    response.end(JSON.stringify(value));
  };

async function errorOf(promise: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof KubeError) return error;
  throw new Error(`KubeError expected, got ${String(error)}`);
}

type Call = (client: HttpKubeClient) => Promise<unknown>;
const calls: readonly (readonly [string, Call, string, string | undefined])[] = [
  ["get", (c) => c.get(KINDS.ConfigMap, KEY), "GET /api/v1/namespaces/n/configmaps/a", undefined],
  [
    "list",
    (c) => c.list(KINDS.ConfigMap, { labelSelector: "a in (b)", limit: 5 }),
    "GET /api/v1/configmaps?labelSelector=a+in+(b)&limit=5",
    undefined,
  ],
  ["create", (c) => c.create(CONFIG_MAP), "POST /api/v1/namespaces/n/configmaps", "application/json"],
  [
    "update of a status",
    (c) => c.updateStatus(CONFIG_MAP),
    "PUT /api/v1/namespaces/n/configmaps/a/status",
    "application/json",
  ],
  [
    "apply",
    (c) => c.apply(CONFIG_MAP, { fieldManager: "m", force: true }),
    "PATCH /api/v1/namespaces/n/configmaps/a?fieldManager=m&force=true",
    "application/apply-patch+yaml",
  ],
  [
    "patch",
    (c) => c.patch(KINDS.ConfigMap, KEY, { type: "json", body: [] }, { dryRun: true }),
    "PATCH /api/v1/namespaces/n/configmaps/a?dryRun=All",
    "application/json-patch+json",
  ],
  [
    "delete",
    (c) => c.delete(KINDS.ConfigMap, KEY, { uid: "u" }),
    "DELETE /api/v1/namespaces/n/configmaps/a",
    "application/json",
  ],
];

describe("requests", () => {
  test.each(calls)("%s", async (_name, call, line, contentType) => {
    const { client, seen } = await clientOf(
      answerWith({ ...CONFIG_MAP, metadata: { name: "a", resourceVersion: "1" } }),
    );
    await call(client);
    expect(seen[0]?.line).toBe(line);
    expect(seen[0]?.headers["content-type"]).toBe(contentType);
  });

  test("a delete carries its preconditions and policy", async () => {
    const { client, seen } = await clientOf(answerWith({ kind: "Status" }));
    await client.delete(KINDS.ConfigMap, KEY, { uid: "u", propagationPolicy: "Background" });
    expect(seen[0]?.body).toEqual({
      apiVersion: "v1",
      kind: "DeleteOptions",
      preconditions: { uid: "u" },
      propagationPolicy: "Background",
    });
  });

  test("a namespaced object without a namespace is refused before anything is sent", async () => {
    const { client, seen } = await clientOf(answerWith({}));
    expect(() => client.create({ apiVersion: "v1", kind: "Pod", metadata: { name: "a" } })).toThrow(
      "metadata.namespace",
    );
    expect(seen).toEqual([]);
  });

  test("unknown fields of an object survive, and list items get their kind", async () => {
    const item = { metadata: { name: "a", new: 1 }, newer: true };
    const { client } = await clientOf(answerWith({ metadata: { resourceVersion: "7" }, items: [item] }));
    const { items, resourceVersion } = await client.list(KINDS.ConfigMap);
    expect(resourceVersion).toBe("7");
    expect(items).toEqual([{ apiVersion: "v1", kind: "ConfigMap", ...item }]);
  });

  test("metadata alone is asked for, and is all that is kept from a server that sends more", async () => {
    const item = { apiVersion: "meta.k8s.io/v1", kind: "PartialObjectMetadata", metadata: { name: "a" }, spec: {} };
    const { client, seen } = await clientOf(answerWith({ metadata: {}, items: [item] }));
    const { items } = await client.list(KINDS.Pod, { metadataOnly: true });
    expect(seen[0]?.headers.accept).toContain("as=PartialObjectMetadataList");
    expect(items).toEqual([{ apiVersion: "v1", kind: "Pod", metadata: { name: "a" } }]);
  });

  test("pages are followed to the end", async () => {
    const pages = [
      { metadata: { resourceVersion: "9", continue: "next" }, items: [{ metadata: { name: "a" } }] },
      { metadata: { resourceVersion: "9" }, items: [{ metadata: { name: "b" } }] },
    ];
    const { client, seen } = await clientOf((request, response) =>
      answerWith(pages[request.line.includes("continue=next") ? 1 : 0])(request, response),
    );
    const { items } = await listAll(client, KINDS.Pod);
    expect(items.map(({ metadata }) => metadata.name)).toEqual(["a", "b"]);
    expect(seen[1]?.line).toBe("GET /api/v1/pods?limit=500&continue=next");
  });

  test.each([
    [{ resources: [{ name: "pods" }] }, 200, true],
    [{ resources: [{ name: "services" }] }, 200, false],
    [{ kind: "Status" }, 404, false],
  ])("a kind is served when discovery names it: %j", async (answer, code, served) => {
    const { client } = await clientOf(answerWith(answer, code));
    expect(await client.serves(KINDS.Pod)).toBe(served);
  });
});

describe("failures", () => {
  test("a Status becomes an error with its parts", async () => {
    const causes = [{ field: "spec.a", message: "bad", reason: "FieldValueInvalid" }];
    const status = { kind: "Status", code: 422, reason: "Invalid", message: "a is invalid", details: { causes } };
    const { client } = await clientOf(answerWith(status, 422));
    const error = await errorOf(client.create(CONFIG_MAP));
    expect(error).toMatchObject({ code: 422, reason: "Invalid", details: { causes } });
    expect(error.message).toBe("create ConfigMap n/a: a is invalid");
  });

  test("an answer without a Status still names status and text", async () => {
    const { client } = await clientOf((_request, response) => {
      response.writeHead(503, { "retry-after": "3" });
      response.end("upstream gone");
    });
    const error = await errorOf(client.get(KINDS.ConfigMap, KEY));
    expect(error).toMatchObject({ code: 503, reason: "ServiceUnavailable", retryAfterSeconds: 3 });
    expect(error.message).toBe("get ConfigMap n/a: upstream gone");
  });

  test("an absent object is undefined to find", async () => {
    const { client } = await clientOf(answerWith({ kind: "Status", reason: "NotFound" }, 404));
    expect(await client.find(KINDS.ConfigMap, KEY)).toBeUndefined();
  });

  test("a server that sends nothing is given up", async () => {
    const { client } = await clientOf(() => {}, { requestIdleMs: 20 });
    expect(await errorOf(client.get(KINDS.ConfigMap, KEY))).toMatchObject({ code: 0, reason: "Timeout" });
  });

  test("a server that is not there", async () => {
    const client = createKubeClient(plainAccess("http://127.0.0.1:1"));
    expect(await errorOf(client.get(KINDS.ConfigMap, KEY))).toMatchObject({ code: 0, reason: "ConnectionFailed" });
  });

  test("half an answer", async () => {
    const { client } = await clientOf((_request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write('{"metadata":', () => response.destroy());
    });
    expect(await errorOf(client.get(KINDS.ConfigMap, KEY))).toMatchObject({ code: 0, reason: "ConnectionFailed" });
  });

  test("an answer that is not JSON", async () => {
    const { client } = await clientOf((_request, response) => response.end("<html>"));
    expect(await errorOf(client.get(KINDS.ConfigMap, KEY))).toMatchObject({ code: 0, reason: "BrokenStream" });
  });

  test("an aborted call rejects with the signal's reason", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const { client } = await clientOf(() => abort.abort(reason));
    await expect(client.get(KINDS.ConfigMap, KEY, { signal: abort.signal })).rejects.toBe(reason);
    await expect(client.get(KINDS.ConfigMap, KEY, { signal: abort.signal })).rejects.toBe(reason);
  });

  test("a kept connection that died is replaced without the caller noticing", async () => {
    const sockets = new Set<unknown>();
    const { client } = await clientOf((request, response) => {
      const reused = sockets.has(response.socket);
      sockets.add(response.socket);
      if (reused) response.socket?.destroy();
      else answerWith(CONFIG_MAP)(request, response);
    });
    for (let round = 0; round < 4; round++) expect((await client.get(KINDS.ConfigMap, KEY)).metadata.name).toBe("a");
    expect(sockets.size).toBeGreaterThan(1);
  });
});

describe("watch", () => {
  const lines = (...events: readonly unknown[]) => events.map((event) => `${JSON.stringify(event)}\n`).join("");
  const object = { metadata: { name: "a", namespace: "n", resourceVersion: "2" } };

  test("yields events and bookmarks until the server ends", async () => {
    const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: "5" } } };
    const { client, seen } = await clientOf((_request, response) =>
      response.end(lines({ type: "ADDED", object }, bookmark)),
    );
    const events = await collect(client.watch(KINDS.Pod, { resourceVersion: "1", timeoutSeconds: 60 }));
    expect(events).toEqual([
      { type: "ADDED", object: { apiVersion: "v1", kind: "Pod", ...object } },
      { type: "BOOKMARK", resourceVersion: "5" },
    ]);
    expect(seen[0]?.line).toBe(
      "GET /api/v1/pods?watch=true&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=60",
    );
  });

  test.each([
    [
      "an expired version",
      lines({ type: "ERROR", object: { code: 410, reason: "Expired" } }),
      { code: 410, reason: "Expired" },
    ],
    ["a line that is not JSON", '{"type":\n', { code: 0, reason: "BrokenStream" }],
    ["a line cut short", '{"type":"ADDED"', { code: 0, reason: "BrokenStream" }],
    ["an unknown type", lines({ type: "RENAMED", object }), { code: 0, reason: "BrokenStream" }],
    [
      "an event without a version",
      lines({ type: "ADDED", object: { metadata: { name: "a" } } }),
      { reason: "BrokenStream" },
    ],
    ["an event without an object", lines({ type: "ADDED" }), { reason: "BrokenStream" }],
  ])("%s ends it with an error", async (_case, text, expected) => {
    const { client } = await clientOf((_request, response) => response.end(text));
    const watch = client.watch(KINDS.Pod, { resourceVersion: "1" });
    expect(await errorOf(collect(watch))).toMatchObject(expected);
  });

  test("a stalled stream is given up, and an aborted one ends with the signal's reason", async () => {
    const { client } = await clientOf((_request, response) => void response.write(lines({ type: "ADDED", object })), {
      watchIdleMs: 30,
    });
    const stalled = collect(client.watch(KINDS.Pod, { resourceVersion: "1" }));
    expect(await errorOf(stalled)).toMatchObject({ code: 0, reason: "Timeout" });
    const abort = new AbortController();
    const reason = new Error("enough");
    const aborted = (async () => {
      for await (const _ of client.watch(KINDS.Pod, { resourceVersion: "1", signal: abort.signal }))
        abort.abort(reason);
    })();
    await expect(aborted).rejects.toBe(reason);
  });
});

describe("kubeconfig", () => {
  const text = (server: string, cluster: object) =>
    JSON.stringify({
      "current-context": "c",
      clusters: [{ name: "k", cluster: { server, ...cluster } }],
      users: [{ name: "u", user: { token: "secret" } }],
      contexts: [{ name: "c", context: { cluster: "k", user: "u", namespace: "team" } }],
    });

  test("TLS with the cluster's own authority, the user's token, a path prefix", async () => {
    const notBefore = new Date("2024-01-01");
    const notAfter = new Date("2034-01-01");
    const pair = createSelfSigned({ organization: "t", dnsNames: [], ipAddresses: ["127.0.0.1"], notBefore, notAfter });
    const seen: string[] = [];
    const server = createHttpsServer({ key: pair.privateKey, cert: pair.certificate }, (request, response) => {
      seen.push(`${request.url} ${request.headers.authorization}`);
      response.end("{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(() => void server.close());
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/k8s/c1`;
    const authority = Buffer.from(pair.certificate).toString("base64");
    const config = await loadKubeConfig({ text: text(url, { "certificate-authority-data": authority }) });
    const client = createKubeClient(config);
    closers.push(() => client.close());
    await client.getRaw("/version");
    await client.getRaw("/version");
    expect(seen).toEqual(Array.from({ length: 2 }, () => "/k8s/c1/version Bearer secret"));
    expect(currentNamespace(config)).toBe("team");
    const distrustful = createKubeClient(await loadKubeConfig({ text: text(url, {}) }));
    expect(await errorOf(distrustful.getRaw("/version"))).toMatchObject({ reason: "ConnectionFailed" });
  });

  test("plain HTTP works without further settings", async () => {
    const server = await listenOnLoopback((_request, response) => response.end('{"ok":true}'));
    const client = createKubeClient(await loadKubeConfig({ text: text(server.url, {}) }));
    closers.push(
      () => server.close(),
      () => client.close(),
    );
    expect(await client.getRaw("/version")).toEqual({ ok: true });
  });

  test("a context without a cluster is an error", async () => {
    await expect(loadKubeConfig({ text: text("http://x", {}), context: "other" })).rejects.toThrow('context "other"');
  });
});
