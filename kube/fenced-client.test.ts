import { expect, test } from "@jest/globals";
import type { CallOptions, KubeClient } from "./client.ts";
import { fencedClient } from "./fenced-client.ts";
import { KINDS } from "./resources.ts";

const key = { namespace: "n", name: "a" };
const object = { apiVersion: "v1", kind: "Service", metadata: key };

/** A server that never answers: calls end when they are aborted. */
function silentServer() {
  const calls: string[] = [];
  const call =
    (name: string, at: number) =>
    (...args: unknown[]): Promise<never> => {
      calls.push(name);
      const { signal } = (args[at] ?? {}) as CallOptions;
      return new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason as Error)));
    };
  const positions = { get: 2, create: 1, update: 1, updateStatus: 1, apply: 1, applyStatus: 1, patch: 3, delete: 2 };
  const methods = Object.entries(positions).map(([name, at]) => [name, call(name, at)]);
  return { calls, client: Object.fromEntries(methods) as unknown as KubeClient };
}

const WRITES: readonly (readonly [string, (client: KubeClient) => Promise<unknown>])[] = [
  ["create", (client) => client.create(object)],
  ["update", (client) => client.update(object)],
  ["updateStatus", (client) => client.updateStatus(object, { signal: new AbortController().signal })],
  ["apply", (client) => client.apply(object, { fieldManager: "f" })],
  ["applyStatus", (client) => client.applyStatus(object, { fieldManager: "f" })],
  ["patch", (client) => client.patch(KINDS.Service, key, { type: "merge", body: {} })],
  ["delete", (client) => client.delete(KINDS.Service, key)],
];

test.each(WRITES)("%s on its way ends with the fence, and none begins after it", async (_name, write) => {
  const { client, calls } = silentServer();
  const lead = new AbortController();
  const fenced = fencedClient(client, { signal: lead.signal, holds: () => true });
  const pending = write(fenced);
  lead.abort(new Error("lost"));
  await expect(pending).rejects.toThrow("lost");
  await expect(write(fenced)).rejects.toThrow("lost");
  expect(calls).toHaveLength(1);
});

test("no write begins once the lead is overdue, before any timer has told", async () => {
  const { client, calls } = silentServer();
  const fenced = fencedClient(client, { signal: new AbortController().signal, holds: () => false });
  for (const [, write] of WRITES) await expect(write(fenced)).rejects.toThrow("no longer leads");
  expect(calls).toEqual([]);
  void fenced.get(KINDS.Service, key);
  expect(calls).toEqual(["get"]);
});
