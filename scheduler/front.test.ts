import { afterEach, expect, test } from "@jest/globals";
import { at, createExtProcClient, headerMap } from "../test/extproc-client.ts";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject } from "../kube/types.ts";
import { silentLogger } from "../telemetry/log.ts";
import { createMetricsRegistry } from "../telemetry/metrics.ts";
import { type Front, type FrontSettings, startFront } from "./front.ts";
import { parseSchedulerFlags } from "./options.ts";
import type { DebugPage } from "./server/metrics-server.ts";
import type { Director } from "./request/types.ts";
import { createMetricsAuth } from "./server/metrics-auth.ts";

const FREE_PORTS = ["--pool-name=p", "--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", "--drain-timeout=0"];

const director: Director = {
  handle: () => {
    throw new Error("no body in these tests");
  },
  handleBodyless: () => ({ podName: "pod-0", namespace: "default", address: "10.0.0.1:8000", port: 8000 }),
  wantsResponseBody: false,
  onResponseHeaders: () => undefined,
  onResponseBody: () => undefined,
  onComplete: () => undefined,
};

let front: Front | undefined;
afterEach(async () => await front?.drain());

async function start(args: readonly string[], extra: Partial<FrontSettings> = {}): Promise<Front> {
  front = await startFront({
    host: "127.0.0.1",
    options: parseSchedulerFlags([...FREE_PORTS, ...args], {}).options,
    director,
    state: () => ({ live: true, ready: true }),
    pages: new Map<string, DebugPage>([
      ["/debug/config", { about: "the configuration", render: () => ({ plugins: [] }) }],
      ["/debug/echo", { about: "the query", render: (query) => query.get("id") ?? undefined }],
    ]),
    metrics: createMetricsRegistry(),
    logger: silentLogger,
    ...extra,
  });
  return front;
}

test("plain: routes, tells its health and shows its pages", async () => {
  const { grpcPort, healthPort, metricsPort } = await start(["--secure-serving=false", "--health-checking"]);
  const client = createExtProcClient(`127.0.0.1:${grpcPort}`);
  const checks = createExtProcClient(`127.0.0.1:${healthPort}`);
  const stream = client.open();
  stream.send({
    request_headers: { headers: headerMap({ ":method": "GET", ":path": "/v1/models" }), end_of_stream: true },
  });
  expect(at(await stream.next(), "request_headers")).toBeDefined();
  expect(await checks.health("readiness")).toBe(1);
  expect(await client.health("envoy.service.ext_proc.v3.ExternalProcessor")).toBe(1);
  await expect(client.health("else")).rejects.toThrow("NOT_FOUND");
  stream.halfClose();
  expect(await stream.status).toBe(0);
  const page = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
  expect(page.headers.get("content-type")).toContain("version=0.0.4");
  expect(await page.text()).toMatch(/^endpoint_picker_picks_total\{.*\} 1$/m);
  const open = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${metricsPort}${path}`);
  expect(await (await open("/debug/config")).json()).toEqual({ plugins: [] });
  expect(await (await open("/debug/echo?id=a%20b")).json()).toBe("a b");
  expect((await open("/debug/echo")).status).toBe(404);
  expect(await (await open("/debug/")).json()).toMatchObject({ "/debug/echo": "the query" });
  expect((await fetch(`http://127.0.0.1:${metricsPort}/else`)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${metricsPort}/metrics`, { method: "POST" })).status).toBe(405);
  client.close();
  checks.close();
});

test("a port in use is an error, and nothing stays open", async () => {
  const { grpcPort } = await start(["--secure-serving=false"]);
  await expect(start([`--grpc-port=${grpcPort}`])).rejects.toThrow("EADDRINUSE");
});

test("metrics need a token whose user may read them", async () => {
  const reviews: string[] = [];
  const client = {
    create: async (object: KubeObject) => {
      reviews.push(object.kind);
      const spec = object.spec as Readonly<Record<string, unknown>>;
      const status =
        object.kind === "TokenReview"
          ? { authenticated: spec.token !== "bad", user: { username: String(spec.token), groups: ["g"] } }
          : { allowed: spec.user === "reader" };
      return await Promise.resolve({ ...object, status });
    },
  } as unknown as KubeClient;
  const { metricsPort } = await start([], { authorize: createMetricsAuth(client, silentLogger, () => 0) });
  const read = async (token?: string): Promise<number> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return (await fetch(`http://127.0.0.1:${metricsPort}/metrics`, { headers })).status;
  };
  expect([await read(), await read("bad"), await read("other"), await read("reader"), await read("reader")]).toEqual([
    401, 401, 403, 200, 200,
  ]);
  expect(reviews).toEqual(["TokenReview", "TokenReview", "SubjectAccessReview", "TokenReview", "SubjectAccessReview"]);
  const proxied = await fetch(`http://127.0.0.1:${metricsPort}/metrics`, { headers: { "x-metrics-token": "reader" } });
  expect(proxied.status).toBe(200);
});
