import { afterAll, expect, test } from "@jest/globals";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { type HealthServer, startHealthServer } from "./health.ts";

const servers: HealthServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
});

async function start(profiling: boolean): Promise<string> {
  const probe = createServer();
  await new Promise<void>((resolve) => void probe.listen(0, "127.0.0.1", () => resolve()));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const answers = { ready: () => true, render: () => "", profiling };
  servers.push(await startHealthServer({ host: "127.0.0.1", port }, answers));
  return `http://127.0.0.1:${port}`;
}

test("a CPU profile where profiling is on, and nothing of it where it is off", async () => {
  const [on, off] = [await start(true), await start(false)];
  const profile = (await (await fetch(`${on}/debug/pprof/profile?seconds=1`)).json()) as { readonly nodes: unknown[] };
  expect(profile.nodes.length).toBeGreaterThan(0);
  expect((await fetch(`${off}/debug/pprof/profile?seconds=1`)).status).toBe(404);
  expect((await fetch(`${off}/debug/pprof/heap`)).status).toBe(404);
});
