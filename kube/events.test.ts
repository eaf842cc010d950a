import { describe, expect, test } from "@jest/globals";
import { silentLogger } from "../telemetry/log.ts";
import type { Patch } from "./client.ts";
import { createEventRecorder } from "./events.ts";
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
    expect(store.patches.map(({ body }) => (body as { count: number }).count)).toEqual([2, 3]);
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

  test("a refused Event harms nobody, a flood is cut off, a long message is shortened", async () => {
    const store = new EventStore();
    const events = record(store);
    store.refusal = new KubeError({ code: 403, reason: "Forbidden", message: "no" });
    events.record(SERVICE, "Normal", "Created", "x");
    await events.flush();
    store.refusal = undefined;
    for (let count = 0; count < 5000; count++)
      events.record(SERVICE, "Normal", "Created", `${count} ${"x".repeat(2000)}`);
    await events.flush();
    expect(store.created.length).toBe(1000);
    expect(store.created[0]?.["message"]).toHaveLength(1024);
  });
});
