import { afterEach, describe, expect, test } from "@jest/globals";
import { createMetricsRegistry } from "../telemetry/metrics.ts";
import { ManualClock } from "../test/manual-clock.ts";
import type { WatchOptions } from "./client.ts";
import {
  createReflectorMetrics,
  type ObjectChange,
  Reflector,
  type ReflectorOptions,
  withoutManagedFields,
} from "./reflector.ts";
import { KINDS } from "./resources.ts";
import { KubeError, type KubeList, type KubeObject, type WatchEvent } from "./types.ts";

const pod = (name: string, resourceVersion: string, uid = name): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "n", resourceVersion, uid },
});
const list = (resourceVersion: string, ...items: readonly KubeObject[]): KubeList => ({ items, resourceVersion });
const failure = (code: number, reason: string, retryAfterSeconds?: number): KubeError =>
  new KubeError({ code, reason, message: reason, retryAfterSeconds });
const CUT = failure(0, "ConnectionFailed");

type WatchScript = readonly (WatchEvent | KubeError)[];

const running: Reflector[] = [];
afterEach(async () => {
  for (const reflector of running.splice(0)) await reflector.close();
});

/** A reflector over scripted answers; a list or watch beyond the script hangs until the reflector closes. */
async function run(lists: (KubeList | KubeError)[], watches: WatchScript[], options: Partial<ReflectorOptions> = {}) {
  const clock = new ManualClock();
  const starts: string[] = [];
  const client = {
    list: async (_resource: unknown, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<KubeList> => {
      starts.push("list");
      const answer = lists.shift() ?? (await hang(signal));
      if (answer instanceof KubeError) throw answer;
      return answer;
    },
    watch: async function* (_resource: unknown, { resourceVersion, signal }: WatchOptions): AsyncGenerator<WatchEvent> {
      starts.push(`watch ${resourceVersion}`);
      for (const step of watches.shift() ?? [await hang(signal)]) {
        if (step instanceof KubeError) throw step;
        yield step;
      }
    },
  };
  const reflector = new Reflector({ client, resource: KINDS.Pod, clock, ...options });
  running.push(reflector);
  const told: string[] = [];
  reflector.subscribe((change) => void told.push(describeChange(change)));
  reflector.start();
  await clock.advance(0);
  return { reflector, clock, starts, told };
}

function hang(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) =>
    signal?.addEventListener("abort", () => reject(signal.reason instanceof Error ? signal.reason : CUT)),
  );
}

const describeChange = ({ type, object }: ObjectChange): string =>
  `${type} ${object.metadata.name}@${object.metadata.resourceVersion}`;

describe("reflector", () => {
  test("lists, watches, and tells each change once", async () => {
    const { reflector, told } = await run(
      [list("5", pod("a", "3"), pod("b", "4"))],
      [
        [
          { type: "ADDED", object: pod("b", "4") },
          { type: "MODIFIED", object: pod("a", "6") },
          { type: "DELETED", object: pod("b", "7") },
          { type: "DELETED", object: pod("unknown", "8") },
        ],
      ],
    );
    expect(told).toEqual(["added a@3", "added b@4", "updated a@6", "deleted b@7"]);
    expect(reflector.synced).toBe(true);
    expect(reflector.cache.list().map(({ metadata }) => metadata.name)).toEqual(["a"]);
  });

  test("a cut watch goes on from the last event or bookmark, at once for the first time", async () => {
    const { starts } = await run(
      [list("5")],
      [[{ type: "ADDED", object: pod("a", "6") }, { type: "BOOKMARK", resourceVersion: "9" }, CUT]],
    );
    expect(starts).toEqual(["list", "watch 5", "watch 9"]);
  });

  test("an expired version leads to a list, from which deletions are made up", async () => {
    const { told, starts } = await run(
      [list("5", pod("a", "1"), pod("b", "2")), list("9", pod("b", "8"))],
      [[failure(410, "Expired")]],
    );
    expect(starts).toEqual(["list", "watch 5", "list", "watch 9"]);
    expect(told).toEqual(["added a@1", "added b@2", "updated b@8", "deleted a@1"]);
  });

  test("an object that was made anew while nobody watched is deleted and added", async () => {
    const lists = [list("5", pod("a", "1", "u1")), list("9", pod("a", "8", "u2"))];
    const { told } = await run(lists, [[failure(410, "Expired")]]);
    expect(told).toEqual(["added a@1", "deleted a@1", "added a@8"]);
  });

  test("three faults without an event between them end the trust in the version", async () => {
    const { starts, clock } = await run([list("5"), list("6")], [[CUT], [CUT], [CUT]]);
    await clock.advance(10_000);
    expect(starts).toEqual(["list", "watch 5", "watch 5", "watch 5", "list", "watch 6"]);
  });

  test("repeated failures wait 0, 0.8, 1.6 … s, at most 30 s", async () => {
    const { clock, starts } = await run(
      Array.from({ length: 12 }, () => CUT),
      [],
    );
    const delays: number[] = [];
    for (let count = 0; count < 8; count++) {
      delays.push(clock.pending[0] ?? 0);
      await clock.advance(clock.pending[0] ?? 0);
    }
    expect(starts.length).toBe(10);
    expect(delays).toEqual([800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  });

  test("a server's Retry-After is kept", async () => {
    const { clock } = await run([failure(429, "TooManyRequests", 7)], []);
    expect(clock.pending).toEqual([7000]);
  });

  test("a watch that held two minutes clears the back-off", async () => {
    let cut = (): void => {};
    const held = new Promise<void>((resolve) => (cut = resolve));
    const client = {
      list: () => Promise.resolve(list("1")),
      watch: async function* (): AsyncGenerator<WatchEvent> {
        await held;
        yield await Promise.reject(CUT);
      },
    };
    const { clock } = await run([], [], { client });
    await clock.advance(120_000);
    cut();
    await clock.advance(0);
    expect(clock.pending).toEqual([800]);
  });

  test("an optional kind that is not served is empty and in sync, and is looked for again", async () => {
    const { reflector, clock, told } = await run(
      [failure(404, "NotFound"), failure(404, "NotFound"), list("1", pod("a", "1"))],
      [],
      {
        optional: true,
      },
    );
    await reflector.whenSynced();
    await clock.advance(5000);
    expect(told).toEqual(["added a@1"]);
  });

  test("an absent kind with a long pause is found as soon as its definition comes, which is told", async () => {
    const served: boolean[] = [];
    const { reflector, clock, starts } = await run([failure(404, "NotFound"), list("1", pod("a", "1"))], [], {
      optional: true,
      absentRetryMs: 600_000,
      onServed: (now) => void served.push(now),
    });
    await clock.advance(60_000);
    expect([starts, reflector.isServed]).toEqual([["list"], false]);
    reflector.retry();
    await clock.advance(0);
    expect([starts, reflector.isServed, served]).toEqual([["list", "list", "watch 1"], true, [false, true]]);
  });

  test("a handler that throws costs no one an event, and a late one hears of what is there", async () => {
    const { reflector, told } = await run([list("5", pod("a", "3"))], [[{ type: "MODIFIED", object: pod("a", "6") }]]);
    reflector.subscribe(() => {
      throw new Error("broken handler");
    });
    const late: string[] = [];
    const leave = reflector.subscribe((change) => void late.push(describeChange(change)));
    leave();
    expect(told).toEqual(["added a@3", "updated a@6"]);
    expect(late).toEqual(["added a@6"]);
  });

  test("closing before the first list rejects those who wait for it", async () => {
    const { reflector } = await run([], []);
    const waiting = reflector.whenSynced();
    await reflector.close();
    await expect(waiting).rejects.toThrow("reflector closed");
  });

  test("objects can be shrunk before they are kept", async () => {
    const entries = [{ manager: "kubectl" }];
    const object = { ...pod("a", "1"), metadata: { ...pod("a", "1").metadata, managedFields: entries } };
    const { reflector } = await run([list("5", object)], [], { transform: withoutManagedFields });
    expect(reflector.cache.get("n/a")?.metadata.managedFields).toBeUndefined();
  });

  test("outcomes are counted by kind", async () => {
    const registry = createMetricsRegistry();
    await run([list("5"), list("6")], [[failure(410, "Expired")], [CUT]], {
      metrics: createReflectorMetrics(registry),
    });
    const page = await registry.render();
    expect(page).toContain('kube_reflector_outcomes_total{kind="Pod",outcome="listed"} 2');
    expect(page).toContain('kube_reflector_outcomes_total{kind="Pod",outcome="expired"} 1');
  });
});
