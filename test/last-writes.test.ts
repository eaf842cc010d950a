import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { KubeClient } from "../kube/client.ts";
import { type Clock, systemClock } from "../kube/clock.ts";
import { fencedClient } from "../kube/fenced-client.ts";
import { KINDS } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { SYSTEM_NAMESPACE } from "./composition.ts";
import { type OperatorBed, startBed } from "./operator-bed.ts";
import { SHAPES } from "./service-shapes.ts";
import { until } from "../playground/until.ts";

const NAMESPACE = "ns-last";
const LEASE = { namespace: SYSTEM_NAMESPACE, name: "llminferenceservice-kserve-controller-manager" };
const USER = { fieldManager: "user" };
/** A twentieth of each time: the Lease is looked at every 100 ms. */
const CLOCK: Clock = { ...systemClock, after: (delayMs, run) => systemClock.after(delayMs / 20, run) };

let bed: OperatorBed;
beforeAll(async () => {
  bed = await startBed([NAMESPACE]);
}, 60_000);
afterAll(async () => await bed?.close());

/** A client whose writes of Deployments the server never answers. */
function unanswered(begun: AbortSignal[]): (client: KubeClient) => KubeClient {
  return (client) => ({
    ...fencedClient(client, { signal: new AbortController().signal, holds: () => true }),
    apply: async (object, options) => {
      if (object.kind !== KINDS.Deployment.kind) return await client.apply(object, options);
      const { signal } = options;
      if (signal === undefined) throw new Error("a write that cannot be cut off");
      begun.push(signal);
      return await new Promise<KubeObject>((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    },
  });
}

const create = async (name: string): Promise<void> => {
  const { apiVersion, kind } = KINDS.LLMInferenceService;
  await bed.client.create({ apiVersion, kind, metadata: { namespace: NAMESPACE, name }, spec: SHAPES["routed"] }, USER);
};

test("a leader that loses the Lease cuts off what it was writing and begins nothing more", async () => {
  const begun: AbortSignal[] = [];
  const operator = await bed.start({ identity: "a", clock: CLOCK, client: unanswered(begun) });
  await create("a");
  await until("a write is under way", () => begun.length > 0);
  const lease = await bed.client.get(KINDS.Lease, LEASE);
  const spec = { ...(lease["spec"] as object), holderIdentity: "other", leaseDurationSeconds: 3600 };
  await bed.client.update({ ...lease, spec });
  await until("it is cut off", () => begun.every((signal) => signal.aborted));
  const before = begun.length;
  await create("b");
  const looks = bed.answered.length;
  await until("it looks at the Lease some more times", () => bed.answered.length >= looks + 5);
  expect(begun).toHaveLength(before);
  await operator.close();
  await bed.client.delete(KINDS.Lease, LEASE);
}, 30_000);

test("an operator that is to end does not wait for ever for what it is writing, and gives the Lease back", async () => {
  const begun: AbortSignal[] = [];
  const operator = await bed.start({ identity: "b", clock: CLOCK, client: unanswered(begun) });
  await until("a write is under way", () => begun.length > 0);
  await operator.close();
  expect(begun.every((signal) => signal.aborted)).toBe(true);
  expect((await bed.client.get(KINDS.Lease, LEASE))["spec"]).toMatchObject({ holderIdentity: "" });
}, 30_000);
