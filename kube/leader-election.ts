import { type Logger, describeError } from "../telemetry/log.ts";
import type { KubeClient } from "./client.ts";
import { type Clock, pause, systemClock } from "./clock.ts";
import { KINDS } from "./resources.ts";
import { type KubeObject, type ObjectKey, isAlreadyExists, isConflict } from "./types.ts";

/** client-go's timings: 15 s lease, 10 s to renew, a try every 2 s with up to 120 % jitter. */
const LEASE_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2_000;
const JITTER = 1.2;

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
}

/** A running candidacy. */
export interface Election {
  readonly leading: boolean;
  /** Stops, and releases the Lease if held, so that another candidate need not wait for its end. */
  close(): Promise<void>;
}

/** Starts to compete for a Lease (coordination.k8s.io/v1) in the manner of client-go. */
export function startElection(client: KubeClient, options: ElectionOptions): Election {
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
  readonly #client: KubeClient;
  readonly #options: ElectionOptions;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #lead: AbortController | undefined;
  /** The record last seen, and when it last changed on the local clock: expiry never compares clocks of two machines. */
  #seen: { readonly record: string; readonly atMs: number } | undefined;
  #renewedAtMs = 0;

  constructor(client: KubeClient, options: ElectionOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#loop = this.#run();
  }

  get leading(): boolean {
    return this.#lead !== undefined;
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the election was closed"));
    await this.#loop;
    if (this.#lead === undefined) return;
    this.#lose("shutting down");
    await this.#release().catch((error: unknown) => this.#log("Lease not released", error));
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#round();
      const delayMs = this.leading ? RETRY_MS : RETRY_MS * (1 + JITTER * this.#clock.random());
      await pause(this.#clock, delayMs, this.#stop.signal);
    }
  }

  async #round(): Promise<void> {
    try {
      if (await this.#hold()) this.#won();
      else if (this.leading) this.#lose("another candidate holds the Lease");
    } catch (error) {
      if (!isConflict(error) && !isAlreadyExists(error)) this.#log("Lease not renewed", error);
    }
    const overdue = this.#clock.now() - this.#renewedAtMs > RENEW_DEADLINE_MS;
    if (this.leading && overdue) this.#lose("the Lease could not be renewed in time");
  }

  /** Creates, renews or takes over the Lease; false while another candidate holds it. */
  async #hold(): Promise<boolean> {
    const startedAt = this.#clock.now();
    const lease = await this.#client.find(KINDS.Lease, this.#options.lease);
    if (lease === undefined) await this.#client.create(this.#record({}, undefined));
    else if (!this.#mayTake(lease)) return false;
    else await this.#client.update(this.#record(specOf(lease), lease));
    this.#renewedAtMs = startedAt;
    return true;
  }

  #mayTake(lease: KubeObject): boolean {
    const spec = specOf(lease);
    const record = JSON.stringify(spec);
    if (this.#seen?.record !== record) this.#seen = { record, atMs: this.#clock.now() };
    if (spec.holderIdentity === this.#options.identity || (spec.holderIdentity ?? "") === "") return true;
    const durationMs = (spec.leaseDurationSeconds ?? LEASE_MS / 1000) * 1000;
    return this.#clock.now() - this.#seen.atMs > durationMs;
  }

  #record(earlier: LeaseSpec, lease: KubeObject | undefined): KubeObject {
    const renewTime = this.#wallTime();
    const same = earlier.holderIdentity === this.#options.identity;
    const spec: LeaseSpec = {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: LEASE_MS / 1000,
      acquireTime: same ? (earlier.acquireTime ?? renewTime) : renewTime,
      renewTime,
      leaseTransitions: (earlier.leaseTransitions ?? 0) + (same || lease === undefined ? 0 : 1),
    };
    return this.#object(spec, lease?.metadata.resourceVersion);
  }

  #object(spec: LeaseSpec, resourceVersion: string | undefined): KubeObject {
    return {
      apiVersion: KINDS.Lease.apiVersion,
      kind: KINDS.Lease.kind,
      metadata: { ...this.#options.lease, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
      spec,
    };
  }

  async #release(): Promise<void> {
    const lease = await this.#client.find(KINDS.Lease, this.#options.lease);
    if (lease === undefined || specOf(lease).holderIdentity !== this.#options.identity) return;
    const spec = { ...specOf(lease), holderIdentity: "", leaseDurationSeconds: 1, renewTime: this.#wallTime() };
    await this.#client.update(this.#object(spec, lease.metadata.resourceVersion));
  }

  #won(): void {
    if (this.#lead !== undefined) return;
    this.#lead = new AbortController();
    this.#options.logger.info("leading", { lease: this.#options.lease.name, identity: this.#options.identity });
    this.#options.onLead(this.#lead.signal);
  }

  #lose(why: string): void {
    this.#options.logger.info("no longer leading", { lease: this.#options.lease.name, why });
    this.#lead?.abort(new Error(why));
    if (!this.#stop.signal.aborted) this.#lead = undefined;
  }

  /** RFC 3339 with microseconds (MicroTime). */
  #wallTime(): string {
    return new Date((this.#options.wallMs ?? Date.now)()).toISOString().replace("Z", "000Z");
  }

  #log(message: string, error: unknown): void {
    this.#options.logger.warn(message, { lease: this.#options.lease.name, error: describeError(error) });
  }
}

function specOf(lease: KubeObject): LeaseSpec {
  return (lease["spec"] ?? {}) as LeaseSpec;
}
