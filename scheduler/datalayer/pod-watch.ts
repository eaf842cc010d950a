import type { KubeClient } from "../../kube/client.ts";
import { type Clock, systemClock } from "../../kube/clock.ts";
import { type ObjectChange, Reflector, withoutManagedFields } from "../../kube/reflector.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type Logger, VERBOSITY } from "../../telemetry/log.ts";
import type { EndpointStore } from "./endpoint-store.ts";
import { endpointsOf, type PoolSpec } from "./pool.ts";

/** What follows pods works with. */
export interface PodWatchOptions {
  readonly client: Pick<KubeClient, "list" | "watch">;
  readonly namespace: string;
  readonly store: EndpointStore;
  /** Port of metrics for pools of one port; 0: the endpoint's own. */
  readonly metricsPort: number;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/**
 * Keeps the store equal to the Ready pods of a selector. While a changed selector is not listed yet, the endpoints of the former
 * one stay, so that a change of the pool costs no request.
 */
export class PodWatch {
  readonly #options: PodWatchOptions;
  #spec: PoolSpec | undefined;
  #reflector: Reflector | undefined;

  constructor(options: PodWatchOptions) {
    this.#options = options;
  }

  get spec(): PoolSpec | undefined {
    return this.#spec;
  }

  /** Whether the pods of the present selector are known. */
  get synced(): boolean {
    return this.#reflector?.synced ?? false;
  }

  /** Follows the pods of this pool; undefined: the store is emptied. */
  follow(spec: PoolSpec | undefined): void {
    const previous = this.#spec;
    this.#spec = spec;
    if (spec === undefined) {
      void this.close();
      this.#options.store.replace([]);
    } else if (this.#reflector === undefined || previous?.selector !== spec.selector) {
      void this.close();
      this.#reflector = this.#watch(spec);
    } else if (this.#reflector.synced) this.#takeAll(this.#reflector);
  }

  async close(): Promise<void> {
    const reflector = this.#reflector;
    this.#reflector = undefined;
    await reflector?.close();
  }

  #watch(spec: PoolSpec): Reflector {
    const { client, namespace, logger, clock = systemClock } = this.#options;
    const reflector = new Reflector({
      client,
      resource: KINDS.Pod,
      selection: { namespace, labelSelector: spec.selector },
      transform: withoutManagedFields,
      logger,
      clock,
    });
    reflector.subscribe((change) => {
      // Before the first list is whole, the former selector's endpoints are in use.
      if (reflector === this.#reflector && reflector.synced) this.#take(change);
    });
    reflector.whenSynced().then(
      () => {
        if (reflector === this.#reflector) this.#takeAll(reflector);
      },
      () => {},
    );
    reflector.start();
    return reflector;
  }

  #takeAll(reflector: Reflector): void {
    const pods = reflector.cache.list();
    const { added, removed } = this.#options.store.replace(pods.flatMap((pod) => this.#endpointsOf(pod)));
    this.#options.logger.info("Updating endpoints", {
      selector: this.#spec?.selector,
      pods: pods.length,
      added,
      removed,
    });
  }

  #take({ type, object }: ObjectChange): void {
    const { store, logger } = this.#options;
    const { namespace = "", name } = object.metadata;
    const { added, removed } = store.replacePod(namespace, name, type === "deleted" ? [] : this.#endpointsOf(object));
    if (added > 0) logger.info("Pod added", { name, namespace, endpoints: added });
    if (removed > 0) logger.v(VERBOSITY.verbose, "Removing endpoint", { name, namespace, endpoints: removed });
  }

  #endpointsOf(pod: KubeObject): ReturnType<typeof endpointsOf> {
    return this.#spec === undefined ? [] : endpointsOf(pod, this.#spec, this.#options.metricsPort);
  }
}
