import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { KINDS } from "../../kube/resources.ts";
import { isNotFound } from "../../kube/types.ts";
import { ManualClock } from "../manual-clock.ts";
import { type BedOperator, type OperatorBed, startBed } from "../operator-bed.ts";
import { ownedObjects } from "../owned-objects.ts";
import { SHAPES } from "../service-shapes.ts";
import { until } from "../../playground/until.ts";

const NAMESPACE = "n";
const LEASE = { namespace: "kserve", name: "llminferenceservice-kserve-controller-manager" };
const USER = { fieldManager: "user" };

let bed: OperatorBed;
let clock: ManualClock;
let first: BedOperator;

beforeEach(async () => {
  bed = await startBed([NAMESPACE]);
  clock = new ManualClock();
  first = await bed.start({ identity: "first", clock });
  await passUntilHeldBy("first");
  await create("a");
  await bed.rest();
  await bed.start({ identity: "second", clock });
}, 240_000);
afterEach(async () => await bed?.close());

async function holder(): Promise<unknown> {
  const lease = await bed.client.find(KINDS.Lease, LEASE);
  return (lease?.["spec"] as { readonly holderIdentity?: string } | undefined)?.holderIdentity;
}

/** Lets time pass in steps of half a second; returns how much it took, in ms. */
async function passUntilHeldBy(identity: string): Promise<number> {
  const startedAt = clock.now();
  while ((await holder()) !== identity) {
    if (clock.now() - startedAt > 60_000) throw new Error(`${identity} does not lead within a minute`);
    await clock.advance(500);
    await bed.rest();
  }
  return clock.now() - startedAt;
}

async function create(name: string): Promise<void> {
  const { apiVersion, kind } = KINDS.LLMInferenceService;
  await bed.client.create({ apiVersion, kind, metadata: { namespace: NAMESPACE, name }, spec: SHAPES["routed"] }, USER);
}

const isServed = async (name: string): Promise<boolean> =>
  (await bed.client.find(KINDS.HTTPRoute, { namespace: NAMESPACE, name: `${name}-kserve-route` })) !== undefined;

const writesBy = (identity: string, from: number): readonly string[] =>
  bed.answered
    .slice(from)
    .filter(({ by, method, path }) => by === identity && method !== "GET" && !path.includes("/leases/"))
    .map(({ method, path }) => `${method} ${path}`);

describe("of two operators", () => {
  test("the second takes over in seconds where the first ends in order, and writes nothing that is there", async () => {
    const from = bed.answered.length;
    await first.close();
    expect(await passUntilHeldBy("second")).toBeLessThanOrEqual(5_000);
    await bed.rest();
    expect(writesBy("second", from)).toEqual([]);
    await create("b");
    await bed.rest();
    expect(await isServed("b")).toBe(true);
  }, 60_000);

  test("the second waits for the end of the lease where the first dies in the midst of its work", async () => {
    first.dieAfter(5);
    await create("b");
    await first.died;
    await first.die();
    await bed.rest();
    expect(await isServed("b")).toBe(false);
    const waited = await passUntilHeldBy("second");
    expect(waited).toBeGreaterThan(10_000);
    expect(waited).toBeLessThanOrEqual(15_000 + 5_000);
    await bed.rest();
    expect(await isServed("b")).toBe(true);
  }, 60_000);

  test("what is deleted while none of them runs goes when one comes back; what is not keeps serving", async () => {
    await create("b");
    await bed.rest();
    await bed.stop();
    await bed.client.delete(KINDS.LLMInferenceService, { namespace: NAMESPACE, name: "b" });
    await bed.rest();
    const waiting = await bed.client.get(KINDS.LLMInferenceService, { namespace: NAMESPACE, name: "b" });
    expect(waiting.metadata.finalizers).toEqual(["serving.kserve.io/llmisvc-finalizer"]);
    expect([await isServed("a"), await isServed("b")]).toEqual([true, true]);
    await bed.start();
    for (const name of ["a", "b"])
      await bed.client
        .delete(KINDS.LLMInferenceService, { namespace: NAMESPACE, name })
        .catch((error: unknown) => expect(isNotFound(error)).toBe(true));
    const left = async (): Promise<string[]> => Object.keys(await ownedObjects(bed.client, NAMESPACE));
    await until("garbage collection", async () => (await left()).length === 0);
  }, 60_000);

  test("only the one that leads writes", async () => {
    const from = bed.answered.length;
    await create("b");
    await bed.rest();
    expect(await isServed("b")).toBe(true);
    expect(writesBy("second", from)).toEqual([]);
  }, 60_000);
});
