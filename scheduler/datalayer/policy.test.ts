import { expect, test } from "@jest/globals";
import type { KubeClient, Selection } from "../../kube/client.ts";
import { groupOf, type Resource } from "../../kube/resources.ts";
import { KubeError, type KubeObject, type WatchEvent } from "../../kube/types.ts";
import { createLogger } from "../../telemetry/log.ts";
import { createRewriteTable, drawTarget } from "../request/rewrite.ts";
import { appliesTo, rulesOf } from "./policy.ts";
import { startPolicyWatch } from "./policy-watch.ts";

const POOL = { name: "pool", namespace: "ns" };
const CURRENT = "llm-d.ai/v1alpha2";
const LEGACY = "inference.networking.x-k8s.io/v1alpha2";

function object(kind: string, name: string, spec: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const { apiVersion = CURRENT, ...metadata } = more;
  return {
    apiVersion: String(apiVersion),
    kind,
    metadata: { name, namespace: "ns", resourceVersion: "1", ...metadata },
    spec: { poolRef: { name: "pool" }, ...spec },
  } as KubeObject;
}
const rewrite = (name: string, rules: unknown, more?: Record<string, unknown>) =>
  object("InferenceModelRewrite", name, { rules }, more);
const exact = (...values: string[]) => values.map((value) => ({ model: { type: "Exact", value } }));
const to = (...models: string[]) => models.map((modelRewrite) => ({ modelRewrite }));

test.each([
  ["its pool", {}, true],
  ["the pool in the old group", { poolRef: { name: "pool", group: "inference.networking.x-k8s.io" } }, true],
  ["another pool", { poolRef: { name: "other" } }, false],
  ["another group", { poolRef: { name: "pool", group: "example.com" } }, false],
  ["no pool", { poolRef: undefined }, false],
])("an object that refers to %s", (_what, spec, expected) => {
  expect(appliesTo(object("InferenceObjective", "o", spec), POOL)).toBe(expected);
});

test("an object that is being deleted is not in force", () => {
  const leaving = object("InferenceObjective", "o", {}, { deletionTimestamp: "2026-01-01T00:00:00Z" });
  expect(appliesTo(leaving, POOL)).toBe(false);
});

test("an exact rule wins over a generic one, then the older, then the first by name, then the first written", () => {
  const at = (minute: number) => ({ creationTimestamp: `2026-01-01T00:0${minute}:00Z` });
  const table = createRewriteTable(
    rulesOf([
      rewrite("young", [{ matches: exact("m"), targets: to("young") }, { targets: to("young-generic") }], at(2)),
      rewrite("old", [{ targets: to("old-generic") }], at(1)),
      rewrite("b", [{ matches: exact("x"), targets: to("b") }], at(3)),
      rewrite(
        "a",
        [
          { matches: exact("x", "y"), targets: to("a1") },
          { matches: exact("x"), targets: to("a2") },
        ],
        at(3),
      ),
    ]),
  );
  const found = (model: string) => table.find(model)?.targets[0]?.model;
  expect(["m", "x", "y", "other", ""].map(found)).toEqual(["young", "a1", "a1", "old-generic", "old-generic"]);
});

test("a rule whose matches name no model is never used", () => {
  expect(createRewriteTable(rulesOf([rewrite("r", [{ matches: [{}], targets: to("t") }])])).find("m")).toBeUndefined();
});

test.each([
  ["uniform without weights", [undefined, undefined], [0, 0.49, 0.5, 0.99], ["a", "a", "b", "b"]],
  ["by weight", [1, 3], [0, 0.24, 0.25, 0.99], ["a", "a", "b", "b"]],
  ["never one without a weight beside others", [undefined, 2], [0, 0.5, 0.999], ["b", "b", "b"]],
])("targets are drawn %s", (_how, weights, draws, expected) => {
  const targets = weights.map((weight, index) => ({ model: "ab"[index]!, weight }));
  const rule = { name: "r", models: [], targets };
  expect(draws.map((draw) => drawTarget(rule, { next: () => draw }))).toEqual(expected);
});

test("a rule without targets gives no model", () => {
  expect(drawTarget({ name: "r", models: [], targets: [] }, { next: () => 0 })).toBe("");
});

/** A cluster that serves some kinds, by group, and whose objects change. */
function cluster(served: ReadonlySet<string>) {
  const objects: KubeObject[] = [];
  const watchers: { resource: Resource; push: (event: WatchEvent) => void }[] = [];
  const mine =
    ({ apiVersion, kind }: Resource) =>
    (item: KubeObject) =>
      item.apiVersion === apiVersion && item.kind === kind;
  const client: Pick<KubeClient, "list" | "watch"> = {
    list: (resource: Resource) =>
      served.has(groupOf(resource.apiVersion))
        ? Promise.resolve({ items: objects.filter(mine(resource)), resourceVersion: "1" })
        : Promise.reject(new KubeError({ code: 404, reason: "NotFound", message: "page not found" })),
    async *watch(resource: Resource, options?: Selection & { signal?: AbortSignal | undefined }) {
      const queue: WatchEvent[] = [];
      let wake = (): void => undefined;
      options?.signal?.addEventListener("abort", () => wake());
      watchers.push({
        resource,
        push: (event) => {
          queue.push(event);
          wake();
        },
      });
      while (options?.signal?.aborted !== true) {
        yield* queue.splice(0);
        await new Promise<void>((resolve) => void (wake = resolve));
      }
    },
  };
  const tell = async (type: "ADDED" | "MODIFIED" | "DELETED", item: KubeObject): Promise<void> => {
    for (const { resource, push } of watchers) if (mine(resource)(item)) push({ type, object: item });
    await turn();
  };
  return { client, objects, tell };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("objectives and rewrites are followed live", async () => {
  const { client, objects, tell } = cluster(new Set(["llm-d.ai"]));
  objects.push(object("InferenceObjective", "batch", { priority: -5 }), object("InferenceObjective", "plain", {}));
  const watch = startPolicyWatch(client, POOL, createLogger({ write: () => undefined }));
  for (let count = 0; count < 10 && !watch.synced(); count++) await turn();
  expect(["batch", "plain", "none"].map((name) => watch.priorityOf(name))).toEqual([-5, 0, undefined]);
  await tell("MODIFIED", object("InferenceObjective", "batch", { priority: 7 }, { resourceVersion: "2" }));
  await tell("DELETED", object("InferenceObjective", "plain", {}));
  expect(["batch", "plain"].map((name) => watch.priorityOf(name))).toEqual([7, undefined]);
  expect(watch.rewrites().find("m")).toBeUndefined();
  await tell("ADDED", rewrite("r", [{ matches: exact("m"), targets: to("t") }]));
  expect(watch.rewrites().find("m")?.targets).toEqual([{ model: "t", weight: undefined }]);
  await watch.close();
});

test.each([
  ["are in force where they are alone", ["inference.networking.x-k8s.io"], 3],
  ["are ignored beside those of llm-d.ai", ["inference.networking.x-k8s.io", "llm-d.ai"], undefined],
])("objects of the old group %s", async (_what, groups, expected) => {
  const lines: string[] = [];
  const { client, objects } = cluster(new Set(groups));
  objects.push(object("InferenceObjective", "old", { priority: 3 }, { apiVersion: LEGACY }));
  const logger = createLogger({ write: (text) => void lines.push(text) });
  const watch = startPolicyWatch(client, POOL, logger);
  for (let count = 0; count < 10 && !watch.synced(); count++) await turn();
  expect(watch.priorityOf("old")).toBe(expected);
  await watch.close();
  logger.flush();
  expect(lines.join("")).toContain("DEPRECATION");
  expect(lines.join("").includes("legacy objects are ignored")).toBe(expected === undefined);
});
