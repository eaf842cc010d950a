import type { KubeClient } from "../../kube/client.ts";
import { type Clock, systemClock } from "../../kube/clock.ts";
import { type ObjectChange, type Reflector, startReflector, withoutManagedFields } from "../../kube/reflector.ts";
import { groupOf, KINDS, type Resource } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type Logger, silentLogger } from "../../telemetry/log.ts";
import type { PoolName } from "../config/options.ts";
import { canonicalHost, podHosts, poolSelector } from "./allow-list.ts";

/** Which hosts may be asked. */
export interface AllowList {
  allows(host: string): boolean;
  close(): Promise<void>;
}

/** What a pool is followed with. */
export interface PoolWatchOptions {
  readonly client: Pick<KubeClient, "list" | "watch">;
  readonly pool: PoolName;
  readonly logger: Logger;
  readonly clock?: Clock;
}

const VERSIONS: readonly Resource[] = [KINDS.InferencePool, KINDS.InferencePoolV1Alpha2];

/** Keeps of a pod what `podHosts` reads. */
const slim = (pod: KubeObject): KubeObject => {
  const { apiVersion, kind, metadata, status } = withoutManagedFields(pod);
  const { name, namespace, uid, resourceVersion } = metadata;
  const kept = {
    name,
    ...(namespace && { namespace }),
    ...(uid && { uid }),
    ...(resourceVersion && { resourceVersion }),
  };
  return { apiVersion, kind, metadata: kept, status };
};

/**
 * Allows the pods of an InferencePool, ready or not. Whichever API group has the pool counts, the named one first: a role may
 * permit only one of them. Nothing is allowed before pool and pods are known.
 */
export function watchPool(options: PoolWatchOptions): AllowList {
  const { client, pool, logger, clock = systemClock } = options;
  const selection = { namespace: pool.namespace, fieldSelector: `metadata.name=${pool.name}` };
  const isNamed = ({ apiVersion }: Resource): boolean => groupOf(apiVersion) === pool.group;
  const watches = VERSIONS.toSorted((a, b) => Number(isNamed(b)) - Number(isNamed(a))).map((resource) =>
    // The other group is looked at just in case: that it is not there, or not permitted, is nothing to report.
    startReflector({
      client,
      resource,
      selection,
      optional: true,
      logger: isNamed(resource) ? logger : silentLogger,
      clock,
    }),
  );
  const pods = new PodHosts(options);
  const follow = (): void => {
    const found = watches.flatMap((watch) => watch.cache.list()).find((object) => poolSelector(object) !== undefined);
    pods.follow(found === undefined ? undefined : poolSelector(found), found?.apiVersion);
  };
  for (const watch of watches) watch.subscribe(follow);
  return {
    allows: (host) => pods.has(host),
    close: async () => {
      await Promise.all([...watches.map((watch) => watch.close()), pods.close()]);
    },
  };
}

/** Hosts of the pods that a selector selects. */
class PodHosts {
  readonly #options: PoolWatchOptions;
  #selector: string | undefined;
  #reflector: Reflector | undefined;
  /** Pods that go by a host: two may, while one follows the other. */
  #counts = new Map<string, number>();

  constructor(options: PoolWatchOptions) {
    this.#options = options;
  }

  has(host: string): boolean {
    return this.#counts.has(canonicalHost(host));
  }

  follow(selector: string | undefined, apiVersion: string | undefined): void {
    if (selector === this.#selector) return;
    const { client, pool, logger, clock = systemClock } = this.#options;
    this.#selector = selector;
    void this.#reflector?.close();
    this.#counts = new Map();
    this.#reflector = undefined;
    if (selector === undefined) return logger.warn("InferencePool not found: no prefill pod is allowed", { ...pool });
    logger.info("pods of the InferencePool are allowed", { ...pool, apiVersion, selector });
    this.#reflector = startReflector({
      client,
      resource: KINDS.Pod,
      selection: { namespace: pool.namespace, labelSelector: selector },
      transform: slim,
      logger,
      clock,
    });
    const counts = this.#counts;
    this.#reflector.subscribe((change) => take(counts, change));
  }

  async close(): Promise<void> {
    await this.#reflector?.close();
  }
}

function take(counts: Map<string, number>, change: ObjectChange): void {
  const add = (pod: KubeObject, by: 1 | -1): void => {
    for (const host of podHosts(pod)) {
      const count = (counts.get(host) ?? 0) + by;
      if (count === 0) counts.delete(host);
      else counts.set(host, count);
    }
  };
  if (change.type === "updated") add(change.previous, -1);
  add(change.object, change.type === "deleted" ? -1 : 1);
}
