import { systemClock } from "../../kube/clock.ts";
import { type Reflector, startReflector } from "../../kube/reflector.ts";
import { groupOf, KINDS, type Resource } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { Discovery } from "./discovery.ts";
import { PodWatch, type PodWatchOptions } from "./pod-watch.ts";
import { type PoolSpec, readPool } from "./pool.ts";

/** The pool to follow. */
export interface PoolReference {
  readonly name: string;
  /** API group whose object counts where both versions exist. */
  readonly group: string;
}

const VERSIONS: readonly Resource[] = [KINDS.InferencePool, KINDS.InferencePoolV1Alpha2];

/**
 * Keeps the store equal to the Ready pods of an InferencePool of either API group; a version that the cluster begins to serve
 * later is found without a restart. Without the pool the store is empty.
 */
export function startPoolWatch(options: PodWatchOptions, { name, group }: PoolReference): Discovery {
  const { client, namespace, logger, clock = systemClock } = options;
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  const isPreferred = ({ apiVersion }: Resource): number => Number(groupOf(apiVersion) === group);
  const watches = [...VERSIONS]
    .sort((a, b) => isPreferred(b) - isPreferred(a))
    .map((resource) => startReflector({ client, resource, selection, optional: true, logger, clock }));
  const pods = new PodWatch(options);
  let last = "";
  const decide = (): void => {
    const object = found(watches);
    const spec = object === undefined ? undefined : readPool(object);
    const text = JSON.stringify([spec, spec === undefined ? undefined : object?.apiVersion]);
    if (text === last) return;
    const former = pods.spec;
    last = text;
    if (spec === undefined)
      logger.info("InferencePool not found. Clearing the datastore", {
        pool: name,
        namespace,
        found: object !== undefined,
      });
    else logger.info("Reconciling InferencePool", described(name, namespace, object, spec, former));
    pods.follow(spec);
  };
  for (const watch of watches) watch.subscribe(decide);
  return {
    known: () => pods.synced,
    pool: () => pods.spec,
    close: async () => {
      await Promise.all(watches.map((watch) => watch.close()));
      await pods.close();
    },
  };
}

function found(watches: readonly Reflector[]): KubeObject | undefined {
  return watches
    .flatMap((watch) => watch.cache.list())
    .find(({ metadata }) => metadata.deletionTimestamp === undefined);
}

function described(
  pool: string,
  namespace: string,
  object: KubeObject | undefined,
  { selector, ports }: PoolSpec,
  former: PoolSpec | undefined,
): Readonly<Record<string, unknown>> {
  const targetPortsChanged = former !== undefined && former.ports.join() !== ports.join();
  return { pool, namespace, apiVersion: object?.apiVersion, selector, targetPorts: ports, targetPortsChanged };
}

/** Keeps the store equal to the Ready pods of a label selector, without any pool object. */
export function startSelectorWatch(options: PodWatchOptions, selector: string, ports: readonly number[]): Discovery {
  const pods = new PodWatch(options);
  options.logger.info("following pods by selector", { selector, targetPorts: ports, namespace: options.namespace });
  pods.follow({ selector, ports, appProtocol: "" });
  return { known: () => true, pool: () => pods.spec, close: () => pods.close() };
}
