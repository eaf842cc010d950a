import { describe, expect, test } from "@jest/globals";
import { silentLogger } from "../telemetry/log.ts";
import type { Patch } from "./client.ts";
import { createMetricsRegistry } from "../telemetry/metrics.ts";
import { createEventMetrics, createEventRecorder } from "./events.ts";
import { KubeError, type KubeObject } from "./types.ts";

const SERVICE: KubeObject = {
  apiVersion: "serving.kserve.io/v1alpha2",
  kind: "LLMInferenceService",
  metadata: { name: "a", namespace: "n", uid: "u", resourceVersion: "3" },
};

/** Keeps what is written. */
class EventStore {
  readonly created: KubeObject[] = [];
  readonly patches: { name: string; body: unknown }[] = [];
  refusal: KubeError | undefined;

  create(object: KubeObject): Promise<KubeObject> {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    this.created.push(object);
    return Promise.resolve(object);
  }

  patch(_resource: unknown, key: { name: string }, patch: Patch): Promise<KubeObject> {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    this.patches.push({ name: key.name, body: patch.body });
    return Promise.resolve(SERVICE);
  }
}

function record(store: EventStore) {
  const now = (): number => Date.UTC(2026, 0, 1);
  return createEventRecorder(store, { component: "operator", logger: silentLogger, now });
}

describe("event recorder", () => {
  test("writes a core Event about the object", async () => {
    const store = new EventStore();
    const events = record(store);
    events.record(SERVICE, "Warning", "Invalid", "no model");
    await events.flush();
    expect(store.created[0]).toMatchObject({
      apiVersion: "v1",
      kind: "Event",
      metadata: { namespace: "n", name: expect.stringMatching(/^a\.[0-9a-f]+$/) },
      involvedObject: { kind: "LLMInferenceService", namespace: "n", name: "a", uid: "u" },
      type: "Warning",
      reason: "Invalid",
      message: "no model",
      source: { component: "operator" },
      firstTimestamp: "2026-01-01T00:00:00Z",
      count: 1,
    });
  });

  test("repetitions count up one Event; another message is another Event", async () => {
    const store = new EventStore();
    const events = record(store);
    for (const message of ["x", "x", "y", "x"]) events.record(SERVICE, "Normal", "Created", message);
    await events.flush();
    expect(store.created.length).toBe(2);
    expect(store.patches.map(({ body }) => (body as { count: number }).count)).toEqual([3]);
  });

  test("an Event that has expired on the server is written anew", async () => {
    const store = new EventStore();
    const events = record(store);
    events.record(SERVICE, "Normal", "Created", "x");
    await events.flush();
    store.patch = () => Promise.reject(new KubeError({ code: 404, reason: "NotFound", message: "gone" }));
    events.record(SERVICE, "Normal", "Created", "x");
    await events.flush();
    expect(store.created.length).toBe(2);
  });

  test("repetitions that come while one waits are counted with it, from the first to the last", async () => {
    const store = new EventStore();
    let time = Date.UTC(2026, 0, 1);
    const options = { component: "operator", logger: silentLogger, now: () => (time += 1000) };
    const events = createEventRecorder(store, options);
    for (const message of ["first", "x", "x", "x"]) events.record(SERVICE, "Normal", "Created", message);
    await events.flush();
    const [, second] = store.created;
    const times = { firstTimestamp: "2026-01-01T00:00:02Z", lastTimestamp: "2026-01-01T00:00:04Z" };
    expect(second).toMatchObject({ message: "x", count: 3, ...times });
    expect(store.patches).toEqual([]);
  });

  test("a start of thousands of services loses nothing; of more Events the oldest Normal ones go, and it is told once", async () => {
    const store = new EventStore();
    const registry = createMetricsRegistry();
    const logs: unknown[] = [];
    const logger = { ...silentLogger, warn: (...line: unknown[]) => void logs.push(line) };
    const events = createEventRecorder(store, { component: "o", logger, metrics: createEventMetrics(registry) });
    for (let index = 0; index < 5000; index++) events.record(SERVICE, "Normal", "Created", `c${index}`);
    for (let index = 0; index < 6000; index++) events.record(SERVICE, "Warning", "Failed", `w${index}`);
    await events.flush();
    const messages = store.created.map((event) => String(event["message"]));
    expect(messages.filter((message) => message.startsWith("w"))).toHaveLength(6000);
    // The first was on its way already.
    expect(messages.slice(0, 2)).toEqual(["c0", "w0"]);
    expect(messages.filter((message) => message.startsWith("c"))[1]).toBe("c1000");
    expect(messages).toHaveLength(10_001);
    expect(logs).toEqual([["Events not written", { normal: 999, warning: 0, error: expect.any(String) }]]);
    expect(await registry.render()).toContain('llmisvc_events_lost_total{type="Normal"} 999');
  });

  test("a refused Event harms nobody, a long message is shortened, and what refuses all is told once", async () => {
    const store = new EventStore();
    const logs: unknown[] = [];
    const logger = { ...silentLogger, warn: (...line: unknown[]) => void logs.push(line) };
    const events = createEventRecorder(store, { component: "operator", logger, now: () => 0 });
    store.refusal = new KubeError({ code: 403, reason: "Forbidden", message: "no" });
    events.record(SERVICE, "Normal", "Created", "x");
    await events.flush();
    store.refusal = undefined;
    events.record(SERVICE, "Normal", "Created", "x".repeat(2000));
    await events.flush();
    expect(store.created[0]?.["message"]).toHaveLength(1024);
    store.refusal = new KubeError({ code: 500, reason: "InternalError", message: "down" });
    for (let count = 0; count < 100; count++) events.record(SERVICE, "Warning", "Failed", String(count));
    await events.flush();
    expect(logs).toMatchObject([
      ["Events not written", { normal: 1 }],
      ["Events not written", { warning: 100 }],
    ]);
  });
});
