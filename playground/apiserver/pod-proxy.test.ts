import { expect, test } from "@jest/globals";
import { listenOnLoopback } from "../../test/loopback.ts";
import { parsePodProxyPath } from "./pod-proxy.ts";
import { call, closers, current, must, useServer } from "./test-server.ts";

const PODS = "/api/v1/namespaces/default/pods";

useServer();

test.each([
  [`${PODS}/a/proxy`, { name: "a", scheme: "http", port: undefined, path: "/" }],
  [`${PODS}/a:9090/proxy/`, { name: "a", scheme: "http", port: 9090, path: "/" }],
  [`${PODS}/https:a:8443/proxy/x/y`, { name: "a", scheme: "https", port: 8443, path: "/x/y" }],
])("%s", (path, expected) => {
  expect(parsePodProxyPath(path)).toEqual({ namespace: "default", ...expected });
});

test.each([[`${PODS}/a`], [`${PODS}/a/log`], ["/api/v1/namespaces/default/services/a/proxy"]])("%s is none", (path) => {
  expect(parsePodProxyPath(path)).toBeUndefined();
});

test("requests reach the pod and come back", async () => {
  const upstream = await listenOnLoopback((request, response) => {
    response.setHeader("content-type", "application/json");
    response.writeHead(201);
    response.end(
      JSON.stringify({ url: request.url, method: request.method, authorization: request.headers.authorization }),
    );
  });
  closers.push(() => upstream.close());
  const { hostname, port } = new URL(upstream.url);
  const spec = { containers: [{ name: "main", image: "i", ports: [{ containerPort: Number(port) }] }] };
  await must("POST", PODS, { apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec });
  expect((await call("GET", `${PODS}/a/proxy/`)).code).toBe(400);
  const status = { podIP: hostname };
  await must("PATCH", `${PODS}/a/status`, { status }, "application/merge-patch+json");
  const answer = await fetch(`${current().url}${PODS}/a:${port}/proxy/debug/x?id=1`, {
    headers: { authorization: "Bearer secret" },
  });
  expect(answer.status).toBe(201);
  expect(await answer.json()).toEqual({ url: "/debug/x?id=1", method: "GET" });
  expect((await call("POST", `${PODS}/a/proxy`, {})).body).toMatchObject({ url: "/", method: "POST" });
  expect((await call("GET", `${PODS}/b/proxy/`)).code).toBe(404);
  await upstream.close();
  expect((await call("GET", `${PODS}/a/proxy/`)).code).toBe(503);
});
