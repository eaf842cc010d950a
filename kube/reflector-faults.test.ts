import { afterEach, describe, expect, test } from "@jest/globals";
import { createRandom } from "../simulator/engine/random.ts";
import { FAULTS, type Fault, FaultyApiServer, LAST_POD, RESUMABLE_FAULTS } from "../test/faulty-api-server.ts";
import { plainAccess } from "../test/loopback.ts";
import type { Clock } from "./clock.ts";
import { createKubeClient } from "./http-client.ts";
import { type ObjectChange, startReflector } from "./reflector.ts";
import { KINDS } from "./resources.ts";
import { keyOf } from "./types.ts";

/** Back-off takes no time, so that a thousand faults take seconds. */
function impatientClock(seed: number): Clock {
  return {
    now: () => performance.now(),
    random: createRandom(seed),
    after: (_delayMs, run) => {
      const handle = setImmediate(run);
      return () => clearImmediate(handle);
    },
  };
}

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Follows a server until it has met all its faults and the last pod was seen. */
async function follow(server: FaultyApiServer, seed: number, watchIdleMs: number) {
  const url = await server.start();
  const client = createKubeClient(plainAccess(url), { watchIdleMs });
  const changes: ObjectChange[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const reflector = startReflector({ client, resource: KINDS.Pod, clock: impatientClock(seed) });
  closers.push(
    () => server.close(),
    () => client.close(),
    () => reflector.close(),
  );
  reflector.subscribe((change) => {
    changes.push(change);
    if (change.object.metadata.name === LAST_POD) resolve();
  });
  await promise;
  return { changes, reflector };
}

const versionOf = (change: ObjectChange): number => Number(change.object.metadata.resourceVersion);

/** The objects that the changes leave, checking on the way that they tell a possible story. */
function fold(changes: readonly ObjectChange[]): Map<string, number> {
  const versions = new Map<string, number>();
  for (const change of changes) {
    const key = keyOf(change.object.metadata);
    expect(versions.has(key)).toBe(change.type !== "added");
    if (change.type === "deleted") versions.delete(key);
    else {
      expect(versionOf(change)).toBeGreaterThan(versions.get(key) ?? 0);
      versions.set(key, versionOf(change));
    }
  }
  return versions;
}

describe("a reflector against a server whose every watch breaks", () => {
  test("after 1,000 faults of all kinds nothing is missed and nothing is left over", async () => {
    const server = new FaultyApiServer({ seed: 7, faultCount: 1000 });
    const { changes, reflector } = await follow(server, 8, 40);
    const expected = new Map(
      [...server.objects].map(([name, { metadata }]) => [`default/${name}`, Number(metadata.resourceVersion)]),
    );
    expect(fold(changes)).toEqual(expected);
    expect(
      new Map(reflector.cache.list().map((pod) => [keyOf(pod.metadata), Number(pod.metadata.resourceVersion)])),
    ).toEqual(expected);
    expect([...server.faultsMet.keys()].sort()).toEqual([...FAULTS].sort());
    expect([...server.faultsMet.values()].reduce((sum, count) => sum + count, 0)).toBe(1000);
  }, 60_000);

  // Faults before the first event of a watch count towards a new list, which may skip states: leave those out, and with them
  // stalls, of which a busy machine makes more.
  const eventful = RESUMABLE_FAULTS.filter(
    (fault: Fault) => !["refused", "throttled", "dropped", "stall"].includes(fault),
  );

  test("without expired versions every single event is told once, in order", async () => {
    const server = new FaultyApiServer({ seed: 21, faultCount: 300, faults: eventful });
    const { changes } = await follow(server, 22, 60_000);
    const told = changes
      .filter((change) => versionOf(change) > newestListed(changes))
      .map((change) => [change.type, versionOf(change)]);
    const first = told[0]?.[1] ?? 0;
    const names = { ADDED: "added", MODIFIED: "updated", DELETED: "deleted" } as const;
    const happened = server.history
      .filter(({ version }) => version >= Number(first))
      .map(({ type, version }) => [names[type], version]);
    expect(told.length).toBeGreaterThan(300);
    expect(told).toEqual(happened);
  }, 60_000);
});

/** Version of the list that the changes begin with: additions up to the first that does not raise the version. */
function newestListed(changes: readonly ObjectChange[]): number {
  const listed = changes.slice(
    0,
    changes.findIndex(({ type }) => type !== "added"),
  );
  return Math.max(0, ...listed.map(versionOf));
}
