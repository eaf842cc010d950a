import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { Journal } from "./journal.ts";
import { nameOf } from "./objects.ts";
import { Store } from "./store.ts";

const object = (name: string, value = 0) => ({ metadata: { name }, value });
const names = (store: Store) =>
  store
    .list("/x")
    .map((item) => nameOf(item.object))
    .sort();

describe("Store", () => {
  test("counts one version over all kinds and replays what followed one", () => {
    const store = new Store();
    store.put("/x", "a", object("a"));
    store.put("/y", "b", object("b"));
    store.put("/x", "a", object("a", 1));
    store.remove("/x", "a");
    expect(store.version).toBe(4);
    expect(store.since("/x", 1).map(({ type, version }) => [type, version])).toEqual([
      ["MODIFIED", 3],
      ["DELETED", 4],
    ]);
  });

  test("shows the state at an earlier version", () => {
    const store = new Store();
    store.put("/x", "a", object("a"));
    store.put("/x", "b", object("b"));
    const then = store.version;
    store.put("/x", "a", object("a", 1));
    store.remove("/x", "b");
    store.put("/x", "c", object("c"));
    const state = store.listAt("/x", "", then).sort((a, b) => (a.key < b.key ? -1 : 1));
    expect(state.map((item) => [item.key, item.object["value"]])).toEqual([
      ["a", 0],
      ["b", 0],
    ]);
  });

  test("forgets the history beyond its bound: 410", () => {
    const store = new Store();
    for (let index = 0; index < 12_001; index++) store.put("/x", "a", object("a", index));
    expect(() => store.since("/x", 1)).toThrow(expect.objectContaining({ code: 410, reason: "Expired" }));
    expect(store.since("/x", 12_000)).toHaveLength(1);
    expect(() => store.listAt("/x", "", 1)).toThrow(expect.objectContaining({ code: 410 }));
  });
});

describe("Journal", () => {
  let folder = "";
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "llmisvc-journal-"))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("keeps objects and the version from run to run, without a close", () => {
    const store = new Store(new Journal(folder));
    store.put("/x", "a", object("a"));
    store.put("/x", "b", object("b"));
    store.remove("/x", "a");
    const next = new Store(new Journal(folder));
    expect(names(next)).toEqual(["b"]);
    expect(next.version).toBe(3);
    expect(() => next.since("/x", 1)).toThrow(expect.objectContaining({ code: 410 }));
  });

  test("cuts off a torn last line, and goes on behind it", () => {
    new Store(new Journal(folder)).put("/x", "a", object("a"));
    appendFileSync(join(folder, "log.jsonl"), '{"version":2,"resource":"/x","key":"b","obj');
    const store = new Store(new Journal(folder));
    store.put("/x", "c", object("c"));
    expect(names(new Store(new Journal(folder)))).toEqual(["a", "c"]);
  });

  test("replaces a full log by a snapshot, and skips log lines that the snapshot covers", () => {
    const store = new Store(new Journal(folder, 500));
    for (let index = 0; index < 50; index++) store.put("/x", `k${index % 5}`, object(`k${index % 5}`, index));
    const log = readFileSync(join(folder, "log.jsonl"), "utf8");
    expect(log.length).toBeLessThan(1_000);
    const first = readFileSync(join(folder, "snapshot.jsonl"), "utf8").split("\n")[1];
    appendFileSync(
      join(folder, "log.jsonl"),
      `${JSON.stringify({ version: 1, ...JSON.parse(first!), object: null })}\n`,
    );
    const next = new Store(new Journal(folder));
    expect(next.version).toBe(50);
    expect(
      next
        .list("/x")
        .map((item) => Number(item.object["value"]))
        .sort((a, b) => a - b),
    ).toEqual([45, 46, 47, 48, 49]);
  });

  test("names file and line of damage", () => {
    appendFileSync(join(folder, "log.jsonl"), "{nonsense}\n");
    expect(() => new Store(new Journal(folder))).toThrow(/log\.jsonl line 1 is damaged/);
  });
});
