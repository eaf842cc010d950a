import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { byLabel, byNamespace, ObjectCache } from "./cache.ts";
import type { KubeObject } from "./types.ts";

function pod(name: string, labels: Record<string, string> = {}, namespace = "default"): KubeObject {
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace, labels } };
}

const namesOf = (objects: readonly KubeObject[]): string[] => objects.map(({ metadata }) => metadata.name).sort();

describe("object cache", () => {
  test("finds objects by key and by each index, and forgets them", () => {
    const cache = new ObjectCache({ app: byLabel("app"), namespace: byNamespace });
    cache.set(pod("a", { app: "x" }));
    cache.set(pod("b", { app: "x" }, "other"));
    expect(cache.get({ namespace: "default", name: "a" })?.metadata.name).toBe("a");
    expect(namesOf(cache.byIndex("app", "x"))).toEqual(["a", "b"]);
    expect(namesOf(cache.byIndex("namespace", "other"))).toEqual(["b"]);
    expect(cache.delete("default/a")?.metadata.name).toBe("a");
    expect(namesOf(cache.byIndex("app", "x"))).toEqual(["b"]);
    expect(cache.delete("default/a")).toBeUndefined();
  });

  test("a packed cache gives back what it was given, also long after", () => {
    const cache = new ObjectCache({ app: byLabel("app") }, { packed: true });
    const objects = Array.from({ length: 1500 }, (_, index) => ({
      ...pod(`p${index}`, { app: "x" }),
      spec: { index },
    }));
    for (const object of objects) cache.set(object);
    expect(objects.map(({ metadata }) => cache.get(metadata))).toEqual(objects);
    expect(cache.byIndex("app", "x")).toEqual(objects);
    const changed = { ...objects[0]!, spec: { index: -1 } };
    expect(cache.set(changed)).toEqual(objects[0]);
    expect(cache.get(changed.metadata)).toEqual(changed);
    expect(cache.delete(changed.metadata)).toEqual(changed);
    expect([cache.get(changed.metadata), cache.size]).toEqual([undefined, 1499]);
  });

  test("files an object under each value of an index", () => {
    const cache = new ObjectCache({ word: ({ metadata }) => metadata.name.split("-") });
    cache.set(pod("red-apple"));
    cache.set(pod("red-rose"));
    expect(["red", "rose", "pear"].map((word) => cache.byIndex("word", word).length)).toEqual([2, 1, 0]);
  });

  test("an index that was not declared is an error", () => {
    expect(() => new ObjectCache().byIndex("app", "x")).toThrow('cache has no index "app"');
  });

  test("indexes agree with a scan after any changes", () => {
    const change = fc.record({
      name: fc.constantFrom("a", "b", "c"),
      app: fc.option(fc.constantFrom("x", "y"), { nil: undefined }),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change), (changes) => {
        const cache = new ObjectCache({ app: byLabel("app") });
        for (const { name, app, remove } of changes)
          if (remove) cache.delete(`default/${name}`);
          else cache.set(pod(name, app === undefined ? {} : { app }));
        for (const app of ["x", "y"])
          expect(namesOf(cache.byIndex("app", app))).toEqual(
            namesOf(cache.list().filter(({ metadata }) => metadata.labels?.["app"] === app)),
          );
      }),
    );
  });
});
