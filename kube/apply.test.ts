import { describe, expect, test } from "@jest/globals";
import { applyIfChanged, needsApply } from "./apply.ts";
import type { KubeObject } from "./types.ts";

const US = { fieldManager: "us" };

function deployment(spec: Record<string, unknown>, metadata: object = {}): KubeObject {
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "a", namespace: "n", ...metadata }, spec };
}

/** The object as the server holds it: with defaults of its own and our entry of managed fields. */
function live(spec: Record<string, unknown>, fieldsV1: Record<string, unknown>, metadata: object = {}): KubeObject {
  const entry = { manager: "us", operation: "Apply", apiVersion: "apps/v1", fieldsType: "FieldsV1", fieldsV1 };
  return deployment(spec, { uid: "u", resourceVersion: "7", generation: 2, managedFields: [entry], ...metadata });
}

const CONTAINERS = {
  "f:spec": {
    "f:containers": {
      'k:{"name":"main"}': { ".": {}, "f:name": {}, "f:args": {}, "f:resources": { "f:limits": { "f:cpu": {} } } },
      'k:{"name":"side"}': { ".": {}, "f:name": {} },
    },
  },
};
const main = { name: "main", args: ["-v", "2"], resources: { limits: { cpu: "1000m" } } };
const storedMain = { name: "main", args: ["-v", "2"], resources: { limits: { cpu: "1" } }, imagePullPolicy: "Always" };
const others = { name: "others" };

const PORTS = {
  "f:spec": { "f:ports": { 'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:port": {}, "f:targetPort": {} } } },
};
const LABELS = { "f:metadata": { "f:labels": { "f:a": {} }, "f:finalizers": { 'v:"x/y"': {} } } };
const RULES = { "f:spec": { "f:rules": {} } };

type Case = readonly [string, KubeObject, KubeObject];

const same: readonly Case[] = [
  [
    "items of a keyed list, beside defaults and another manager's items, with another spelling of a quantity",
    deployment({ containers: [main, { name: "side" }] }),
    live({ containers: [others, storedMain, { name: "side", image: "x" }] }, CONTAINERS),
  ],
  [
    "a list key that the server defaults",
    deployment({ ports: [{ port: 80, targetPort: "http" }] }),
    live({ ports: [{ port: 80, targetPort: "http", protocol: "TCP" }] }, PORTS),
  ],
  [
    "metadata and a set",
    deployment({}, { labels: { a: "1" }, finalizers: ["x/y"] }),
    live({}, LABELS, { labels: { a: "1", theirs: "2" }, finalizers: ["other", "x/y"] }),
  ],
  [
    "defaults within a list that is owned as a whole",
    deployment({ rules: [{ backendRefs: [{ name: "a" }] }] }),
    live({ rules: [{ backendRefs: [{ name: "a", weight: 1, kind: "Service" }] }] }, RULES),
  ],
  [
    "empty and absent values",
    deployment({ replicas: 1, nodeSelector: {}, tolerations: [], paused: null, selector: undefined }),
    live({ replicas: 1 }, { "f:spec": { "f:replicas": {}, "f:nodeSelector": {}, "f:tolerations": {} } }),
  ],
];

const different: readonly Case[] = [
  ["a value", deployment({ replicas: 2 }), live({ replicas: 1 }, { "f:spec": { "f:replicas": {} } })],
  [
    "a field that is stated anew",
    deployment({ replicas: 1, paused: true }),
    live({ replicas: 1, paused: true }, { "f:spec": { "f:replicas": {} } }),
  ],
  [
    "a field that is no longer stated",
    deployment({ replicas: 1 }),
    live({ replicas: 1, paused: true }, { "f:spec": { "f:replicas": {}, "f:paused": {} } }),
  ],
  [
    "an item that is no longer stated",
    deployment({ containers: [main] }),
    live({ containers: [storedMain, { name: "side" }] }, CONTAINERS),
  ],
  [
    "the order of items",
    deployment({ containers: [{ name: "side" }, main] }),
    live({ containers: [storedMain, { name: "side" }] }, CONTAINERS),
  ],
  [
    "a field of an item that someone removed",
    deployment({ containers: [main, { name: "side" }] }),
    live({ containers: [{ name: "main" }, { name: "side" }] }, CONTAINERS),
  ],
  [
    "a member of a set",
    deployment({}, { labels: { a: "1" }, finalizers: ["x/z"] }),
    live({}, LABELS, { labels: { a: "1" }, finalizers: ["x/y"] }),
  ],
  [
    "a value within a list that is owned as a whole",
    deployment({ rules: [{ name: "b" }] }),
    live({ rules: [{ name: "a" }] }, RULES),
  ],
  [
    "text that only looks like a quantity",
    deployment({ name: "1000m" }),
    live({ name: "1" }, { "f:spec": { "f:name": {} } }),
  ],
  [
    "an object that we never applied",
    deployment({}),
    deployment({}, { managedFields: [{ manager: "kubectl", operation: "Apply" }] }),
  ],
  ["an object that we applied in another version", { ...deployment({}), apiVersion: "apps/v2" }, live({}, {})],
];

describe("apply", () => {
  test.each(same)("%s need no write", (_case, desired, current) =>
    expect(needsApply(current, desired, US)).toBe(false),
  );
  test.each(different)("%s needs a write", (_case, desired, current) =>
    expect(needsApply(current, desired, US)).toBe(true),
  );

  test("the status is compared through its own entry alone", () => {
    const entry = { manager: "us", operation: "Apply", apiVersion: "apps/v1", subresource: "status" };
    const managedFields = [{ ...entry, fieldsV1: { "f:status": { "f:replicas": {} } } }];
    const current = { ...deployment({ replicas: 3 }, { managedFields }), status: { replicas: 3 } };
    const desired = (replicas: number): KubeObject => ({ ...deployment({}), status: { replicas } });
    expect(needsApply(current, desired(3), { ...US, subresource: "status" })).toBe(false);
    expect(needsApply(current, desired(4), { ...US, subresource: "status" })).toBe(true);
  });

  test("writes only what is needed, and returns the object either way", async () => {
    const writes: KubeObject[] = [];
    const apply = (object: KubeObject): Promise<KubeObject> => {
      writes.push(object);
      return Promise.resolve(object);
    };
    const current = live({ replicas: 1 }, { "f:spec": { "f:replicas": {} } });
    expect(await applyIfChanged({ apply }, current, deployment({ replicas: 1 }), US)).toEqual({
      object: current,
      written: false,
    });
    expect((await applyIfChanged({ apply }, current, deployment({ replicas: 2 }), US)).written).toBe(true);
    expect((await applyIfChanged({ apply }, undefined, deployment({ replicas: 1 }), US)).written).toBe(true);
    expect(writes.length).toBe(2);
  });
});
