import { describe, expect, test } from "@jest/globals";
import { silentLogger } from "../telemetry/log.ts";
import { ManualClock } from "../test/manual-clock.ts";
import { startElection } from "./leader-election.ts";
import { KubeError, type KubeObject } from "./types.ts";

const LEASE = { namespace: "n", name: "operator" };
const refused = (reason: string): KubeError => new KubeError({ code: 409, reason, message: reason });

const aborted = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(refused("aborted"))));

/** One Lease as the API server keeps it; it can refuse or hang. */
class LeaseStore {
  lease: KubeObject | undefined;
  /** `mute`: writes are done and never answered. */
  mode: "up" | "down" | "hanging" | "mute" = "up";
  #version = 0;

  async find(_resource: unknown, _key: unknown, options?: { signal?: AbortSignal | undefined }) {
    await this.#gate(options?.signal);
    return this.lease;
  }

  async create(object: KubeObject, options?: { signal?: AbortSignal | undefined }): Promise<KubeObject> {
    await this.#gate(undefined);
    if (this.lease !== undefined) throw refused("AlreadyExists");
    const stored = this.#store(object);
    if (this.mode === "mute") await aborted(options?.signal);
    return stored;
  }

  async update(object: KubeObject): Promise<KubeObject> {
    await this.#gate(undefined);
    if (object.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) throw refused("Conflict");
    return this.#store(object);
  }

  get spec(): Record<string, unknown> {
    return (this.lease?.["spec"] ?? {}) as Record<string, unknown>;
  }

  #store(object: KubeObject): KubeObject {
    this.lease = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } };
    return this.lease;
  }

  async #gate(signal: AbortSignal | undefined): Promise<void> {
    if (this.mode === "down") throw new KubeError({ code: 0, reason: "ConnectionFailed", message: "down" });
    if (this.mode === "hanging") await aborted(signal);
  }
}

function candidate(store: LeaseStore, clock: ManualClock, identity: string) {
  const leads: AbortSignal[] = [];
  const election = startElection(store, {
    lease: LEASE,
    identity,
    logger: silentLogger,
    clock,
    wallMs: () => Date.UTC(2026, 0, 1) + clock.now(),
    onLead: (signal) => void leads.push(signal),
  });
  return { election, leads };
}

describe("leader election", () => {
  test("the first candidate creates the Lease and keeps renewing it", async () => {
    const [store, clock] = [new LeaseStore(), new ManualClock()];
    const { election, leads } = candidate(store, clock, "a");
    await clock.advance(0);
    expect(election.leading).toBe(true);
    expect(store.spec).toEqual({
      holderIdentity: "a",
      leaseDurationSeconds: 15,
      acquireTime: "2026-01-01T00:00:01.000000Z",
      renewTime: "2026-01-01T00:00:01.000000Z",
      leaseTransitions: 0,
    });
    await clock.advance(60_000);
    expect(store.spec["renewTime"]).toBe("2026-01-01T00:01:01.000000Z");
    expect(store.spec["acquireTime"]).toBe("2026-01-01T00:00:01.000000Z");
    expect(leads.length).toBe(1);
    await election.close();
  });

  test("a second candidate waits until the record has not changed for its duration", async () => {
    const [store, clock] = [new LeaseStore(), new ManualClock()];
    const first = candidate(store, clock, "a");
    await clock.advance(0);
    const second = candidate(store, clock, "b");
    await clock.advance(60_000);
    expect([first.election.leading, second.election.leading]).toEqual([true, false]);
    store.mode = "down";
    await clock.advance(9_000);
    expect(first.election.leading).toBe(true);
    await clock.advance(1_100);
    expect(first.election.leading).toBe(false);
    expect(first.leads[0]?.aborted).toBe(true);
    await Promise.all([first.election.close(), clock.advance(0)]);
    store.mode = "up";
    await clock.advance(20_000);
    expect(second.election.leading).toBe(true);
    expect(store.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
    await second.election.close();
  });

  test("a leader whose request hangs stops leading before the Lease can expire", async () => {
    const [store, clock] = [new LeaseStore(), new ManualClock()];
    const { election, leads } = candidate(store, clock, "a");
    await clock.advance(0);
    store.mode = "hanging";
    await clock.advance(9_999);
    expect(election.leading).toBe(true);
    await clock.advance(1);
    expect([election.leading, leads[0]?.aborted]).toEqual([false, true]);
    store.mode = "up";
    await clock.advance(20_000);
    expect([election.leading, leads.length]).toEqual([true, 2]);
    await election.close();
  });

  test("a process that was stopped for longer than its lead knows it before any timer has told", async () => {
    const [store, clock] = [new LeaseStore(), new ManualClock()];
    let stoppedMs = 0;
    const stopped = Object.assign(Object.create(clock) as ManualClock, {
      now: () => clock.now() + stoppedMs,
      after: (ms: number, call: () => void) => clock.after(ms, call),
      random: () => clock.random(),
    });
    const { election, leads } = candidate(store, stopped, "a");
    await clock.advance(0);
    expect(election.leading).toBe(true);
    stoppedMs = 20_000;
    expect([election.leading, leads[0]?.aborted]).toEqual([false, false]);
    await clock.advance(2_000);
    expect(election.leading).toBe(true);
    await election.close();
  });

  test("a claim that the server took and did not answer is given back", async () => {
    const [store, clock] = [new LeaseStore(), new ManualClock()];
    store.mode = "mute";
    const { election } = candidate(store, clock, "a");
    await clock.advance(0);
    expect([election.leading, store.spec["holderIdentity"]]).toEqual([false, "a"]);
    store.mode = "up";
    await election.close();
    expect(store.spec["holderIdentity"]).toBe("");
  });

  test("a leader that is replaced by force steps down at once", async () => {
    const [store, clock] = [new LeaseStore(), new ManualClock()];
    const { election } = candidate(store, clock, "a");
    await clock.advance(0);
    await store.update({ ...store.lease!, spec: { ...store.spec, holderIdentity: "x" } });
    await clock.advance(2_000);
    expect(election.leading).toBe(false);
    await election.close();
    expect(store.spec["holderIdentity"]).toBe("x");
  });

  test("closing gives the Lease back, so that the next candidate need not wait", async () => {
    const [store, clock] = [new LeaseStore(), new ManualClock()];
    const first = candidate(store, clock, "a");
    await clock.advance(0);
    store.lease = { ...store.lease!, metadata: { ...store.lease!.metadata, labels: { team: "x" } } };
    const second = candidate(store, clock, "b");
    await clock.advance(0);
    await first.election.close();
    expect(first.election.leading).toBe(false);
    expect(store.spec).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1 });
    expect(store.lease?.metadata.labels).toEqual({ team: "x" });
    await clock.advance(5_000);
    expect(second.election.leading).toBe(true);
    await second.election.close();
  });
});
