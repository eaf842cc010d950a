import { describeError, type Logger } from "../telemetry/log.ts";
import type { Family, Gauge, MetricsRegistry } from "../telemetry/metrics.ts";
import type { KubeClient } from "./client.ts";
import { type Clock, pause, systemClock } from "./clock.ts";
import { KINDS } from "./resources.ts";
import { isAlreadyExists, isConflict, type KubeObject, type ObjectKey } from "./types.ts";

/** client-go's timings: 15 s lease, 10 s to renew, a try every 2 s, spread by up to 120 % while not leading. */
const LEASE_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2_000;
const JITTER = 1.2;
/** Time that giving the Lease back may take at shutdown. */
const RELEASE_MS = 3_000;

/** Parts of an election. */
export interface ElectionOptions {
  /** Namespace and name of the Lease. */
  readonly lease: ObjectKey;
  /** Who this process is; unique among the candidates. */
  readonly identity: string;
  readonly logger: Logger;
  /** Called when this process leads; its signal aborts when the lead is lost or given up. */
  readonly onLead: (signal: AbortSignal) => void;
  readonly clock?: Clock | undefined;
  /** Wall clock in ms, for the times written into the Lease only. */
  readonly wallMs?: (() => number) | undefined;
  readonly metrics?: ElectionMetrics | undefined;
}

/** Whether this process leads, by name of the Lease. */
export interface ElectionMetrics {
  readonly leading: Family<Gauge>;
}

/** Declares the metrics of elections, under client-go's name. */
export function createElectionMetrics(registry: MetricsRegistry): ElectionMetrics {
  const help =
    "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.";
  return { leading: registry.gauge({ name: "leader_election_master_status", help, labels: ["name"] }) };
}

/** A running candidacy. */
export interface Election {
  /** Whether this process leads; false from the moment a renewal is overdue, well before anyone else may take over. */
  readonly leading: boolean;
  /** Stops, and gives the Lease back if held, so that another candidate need not wait for its end. */
  close(): Promise<void>;
}

/** Starts to compete for a Lease (coordination.k8s.io/v1) as client-go does. */
export function startElection(
  client: Pick<KubeClient, "find" | "create" | "update">,
  options: ElectionOptions,
): Election {
  return new Candidate(client, options);
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

class Candidate implements Election {
  readonly #client: Pick<KubeClient, "find" | "create" | "update">;
  readonly #options: ElectionOptions;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #lead: AbortController | undefined;
  /** When the lead is overdue, on the local clock: a process that was stopped knows before its timers do. */
  #leadsUntil = 0;
  /** Whether a claim may have reached the server without an answer. */
  #claiming = false;
  #cancelFence = (): void => {};
  /** The record last seen, and when it last changed on the local clock: expiry never compares clocks of two machines. */
  #seen: { readonly record: string; readonly atMs: number } | undefined;

  constructor(client: Pick<KubeClient, "find" | "create" | "update">, options: ElectionOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#show(0);
    this.#loop = this.#run();
  }

  get leading(): boolean {
    return this.#lead !== undefined && this.#clock.now() < this.#leadsUntil;
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the election was closed"));
    await this.#loop;
    if (this.#lead !== undefined) this.#lose("shutting down");
    else if (!this.#claiming) return;
    await this.#within(RELEASE_MS, (signal) => this.#releaseSurely(signal)).catch((error: unknown) =>
      this.#warn("Lease not released", error),
    );
  }

  /** A renewal that was cut off may still arrive in between. */
  async #releaseSurely(signal: AbortSignal): Promise<void> {
    try {
      await this.#release(signal);
    } catch (error) {
      if (!isConflict(error)) throw error;
      await this.#release(signal);
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#round(signal);
      const delayMs = this.leading ? RETRY_MS : RETRY_MS * (1 + JITTER * this.#clock.random());
      await pause(this.#clock, delayMs, signal);
    }
  }

  /** One try to get or keep the Lease; the fence ends the lead if tries fail for too long, even if one of them hangs. */
  async #round(stop: AbortSignal): Promise<void> {
    const startedAt = this.#clock.now();
    try {
      const held = await this.#within(RENEW_DEADLINE_MS, (signal) => this.#hold(AbortSignal.any([signal, stop])));
      if (held) this.#won(startedAt);
      else if (this.#lead !== undefined) this.#lose("another candidate holds the Lease");
    } catch (error) {
      if (!stop.aborted && !isConflict(error) && !isAlreadyExists(error)) this.#warn("Lease not renewed", error);
    }
  }

  async #within<T>(limitMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = new AbortController();
    const cancel = this.#clock.after(limitMs, () => limit.abort(new Error(`no answer within ${limitMs} ms`)));
    try {
      return await work(limit.signal);
    } finally {
      cancel();
    }
  }

  /** Creates, renews or takes over the Lease; false while another candidate holds it. */
  async #hold(signal: AbortSignal): Promise<boolean> {
    const lease = await this.#client.find(KINDS.Lease, this.#options.lease, { signal });
    if (lease !== undefined && !this.#mayTake(lease)) return false;
    const record = this.#object(this.#claim(specOf(lease)), lease);
    this.#claiming = true;
    if (lease === undefined) await this.#client.create(record, { signal });
    else await this.#client.update(record, { signal });
    this.#claiming = false;
    return true;
  }

  #mayTake(lease: KubeObject): boolean {
    const spec = specOf(lease);
    const record = JSON.stringify(spec);
    if (this.#seen?.record !== record) this.#seen = { record, atMs: this.#clock.now() };
    if (spec.holderIdentity === this.#options.identity || (spec.holderIdentity ?? "") === "") return true;
    const durationMs = (spec.leaseDurationSeconds ?? LEASE_MS / 1000) * 1000;
    return this.#clock.now() - this.#seen.atMs >= durationMs;
  }

  #claim(earlier: LeaseSpec): LeaseSpec {
    const renewTime = this.#wallTime();
    const { identity } = this.#options;
    const same = earlier.holderIdentity === identity;
    const first = earlier.holderIdentity === undefined;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: LEASE_MS / 1000,
      acquireTime: same ? (earlier.acquireTime ?? renewTime) : renewTime,
      renewTime,
      leaseTransitions: (earlier.leaseTransitions ?? 0) + (same || first ? 0 : 1),
    };
  }

  /** The Lease with a new spec; its resourceVersion makes the update fail if anyone wrote meanwhile. */
  #object(spec: LeaseSpec, lease: KubeObject | undefined): KubeObject {
    const { managedFields: _, ...metadata } = lease?.metadata ?? { ...this.#options.lease, managedFields: undefined };
    return { apiVersion: KINDS.Lease.apiVersion, kind: KINDS.Lease.kind, metadata, spec };
  }

  async #release(signal: AbortSignal): Promise<void> {
    const lease = await this.#client.find(KINDS.Lease, this.#options.lease, { signal });
    const spec = specOf(lease);
    if (spec.holderIdentity !== this.#options.identity) return;
    const released = { ...spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: this.#wallTime() };
    await this.#client.update(this.#object(released, lease), { signal });
  }

  /** Counts the time to renew from the start of the round, since the server may have written at once. */
  #won(startedAt: number): void {
    this.#cancelFence();
    this.#leadsUntil = startedAt + RENEW_DEADLINE_MS;
    this.#cancelFence = this.#clock.after(this.#leadsUntil - this.#clock.now(), () =>
      this.#lose("the Lease could not be renewed in time"),
    );
    if (this.#lead !== undefined) return;
    this.#lead = new AbortController();
    this.#show(1);
    this.#options.logger.info("leading", { lease: this.#options.lease.name, identity: this.#options.identity });
    this.#options.onLead(this.#lead.signal);
  }

  #lose(why: string): void {
    this.#cancelFence();
    this.#options.logger.info("no longer leading", { lease: this.#options.lease.name, why });
    this.#lead?.abort(new Error(why));
    this.#lead = undefined;
    this.#show(0);
  }

  #show(leading: 0 | 1): void {
    this.#options.metrics?.leading.labels(this.#options.lease.name).set(leading);
  }

  /** RFC 3339 with microseconds (MicroTime). */
  #wallTime(): string {
    return new Date((this.#options.wallMs ?? Date.now)()).toISOString().replace("Z", "000Z");
  }

  #warn(message: string, error: unknown): void {
    this.#options.logger.warn(message, { lease: this.#options.lease.name, error: describeError(error) });
  }
}

function specOf(lease: KubeObject | undefined): LeaseSpec {
  return (lease?.["spec"] ?? {}) as LeaseSpec;
}
