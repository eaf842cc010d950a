import { exponentialDelay } from "../../kube/backoff.ts";
import type { KubeClient } from "../../kube/client.ts";
import { type Clock, systemClock } from "../../kube/clock.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, keyOf } from "../../kube/types.ts";
import { type Logger, VERBOSITY, describeError } from "../../telemetry/log.ts";
import { asJson } from "../llminferenceservice/pass.ts";
import { sameJson, textAt } from "../../crds/json.ts";
import { type PodWarning, needsWarnings } from "../status/pod-causes.ts";

/** First look after the first question, then ever more seldom while the pod does not serve. */
const LOOKS = { baseMs: 1_000, maxMs: 60_000 };
/** Warnings kept of one pod. */
const KEPT = 10;
/** Pods that are looked after at once; more have to do without. */
const MAX_PODS = 1_000;

/** What a `PodWarnings` works with. */
export interface PodWarningsOptions {
  readonly client: Pick<KubeClient, "list">;
  readonly logger: Logger;
  /** The pod as it is now; undefined once it is gone. */
  readonly current: (pod: KubeObject) => KubeObject | undefined;
  /** Told when the warnings of a pod changed. */
  readonly onChange: (pod: KubeObject) => void;
  readonly clock?: Clock;
}

interface Watched {
  readonly pod: KubeObject;
  warnings: readonly PodWarning[];
  looks: number;
  cancel: () => void;
}

/**
 * Warning Events of pods that do not serve: the only place where the kubelet tells of mounts and probes. They are listed for
 * single pods while somebody wants to know, not watched: a cluster has far more of them than services have faults.
 */
export class PodWarnings {
  readonly #options: PodWarningsOptions;
  readonly #clock: Clock;
  readonly #watched = new Map<string, Watched>();
  readonly #closed = new AbortController();

  constructor(options: PodWarningsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** What is known of the pod now; the first question starts the looking. */
  of(pod: KubeObject): readonly PodWarning[] {
    const { uid } = pod.metadata;
    if (uid === undefined || !needsWarnings(asJson(pod) ?? {})) return [];
    const known = this.#watched.get(uid);
    if (known !== undefined) return known.warnings;
    if (this.#watched.size >= MAX_PODS || this.#closed.signal.aborted) return [];
    const watched: Watched = { pod, warnings: [], looks: 0, cancel: () => {} };
    this.#watched.set(uid, watched);
    this.#plan(uid, watched);
    return [];
  }

  /** Ends all looking. */
  close(): void {
    this.#closed.abort();
    for (const { cancel } of this.#watched.values()) cancel();
    this.#watched.clear();
  }

  #plan(uid: string, watched: Watched): void {
    const delayMs = exponentialDelay(LOOKS, watched.looks++);
    watched.cancel = this.#clock.after(delayMs, () => void this.#look(uid, watched));
  }

  async #look(uid: string, watched: Watched): Promise<void> {
    const pod = this.#options.current(watched.pod);
    if (pod === undefined || pod.metadata.uid !== uid || !needsWarnings(asJson(pod) ?? {})) {
      this.#watched.delete(uid);
      return;
    }
    try {
      const found = await this.#list(pod);
      const changed = !sameJson(found, watched.warnings);
      watched.warnings = found;
      if (changed) this.#options.onChange(pod);
    } catch (error) {
      const fields = { pod: keyOf(pod.metadata), error: describeError(error) };
      if (!this.#closed.signal.aborted) this.#options.logger.v(VERBOSITY.verbose, "Events of a pod not read", fields);
    }
    if (!this.#closed.signal.aborted) this.#plan(uid, watched);
  }

  async #list(pod: KubeObject): Promise<readonly PodWarning[]> {
    const { namespace, uid } = pod.metadata;
    const fieldSelector = `involvedObject.uid=${uid},type=Warning`;
    const { signal } = this.#closed;
    const { items } = await this.#options.client.list(KINDS.Event, { namespace, fieldSelector, signal });
    const time = (event: KubeObject): string =>
      textAt(asJson(event), "lastTimestamp") ?? textAt(asJson(event), "eventTime") ?? "";
    return [...items]
      .sort((left, right) => (time(left) < time(right) ? 1 : -1))
      .slice(0, KEPT)
      .map((event) => ({
        reason: textAt(asJson(event), "reason") ?? "",
        message: textAt(asJson(event), "message") ?? "",
      }));
  }
}
