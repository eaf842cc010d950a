import type { KubeClient } from "../../kube/client.ts";
import { type Reflector, startReflector, withoutManagedFields } from "../../kube/reflector.ts";
import { KINDS } from "../../kube/resources.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { EndpointStore } from "./endpoint-store.ts";
import { endpointsOf, type PoolSpec, readPool } from "./pool.ts";

/** The pool to follow. */
export interface PoolReference {
  readonly namespace: string;
  readonly name: string;
  /** API group: `inference.networking.k8s.io` (v1) or `inference.networking.x-k8s.io` (v1alpha2). */
  readonly group: string;
}

/** A pool that is followed. */
export interface PoolWatch {
  /** Whether the pool and its pods are known. */
  known(): boolean;
  close(): Promise<void>;
}

/** Keeps the store equal to the Ready pods of an InferencePool. Without the pool the store is empty. */
export function startPoolWatch(
  client: Pick<KubeClient, "list" | "watch">,
  { namespace, name, group }: PoolReference,
  store: EndpointStore,
  logger: Logger,
): PoolWatch {
  const resource = group.includes("x-k8s.io") ? KINDS.InferencePoolV1Alpha2 : KINDS.InferencePool;
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  const pools = startReflector({ client, resource, selection, optional: true, logger });
  let pods: PodWatch | undefined;
  pools.subscribe(() => {
    const [object] = pools.cache.list();
    const spec = object === undefined ? undefined : readPool(object);
    if (pods !== undefined && spec !== undefined && sameSpec(pods.spec, spec)) return;
    void pods?.close();
    store.replace([]);
    pods = spec === undefined ? undefined : watchPods(client, namespace, spec, store, logger);
    logger.info("pool changed", { pool: name, namespace, found: spec !== undefined, ports: spec?.ports });
  });
  return {
    known: () => pods?.reflector.synced ?? false,
    close: async () => {
      await pools.close();
      await pods?.close();
    },
  };
}

interface PodWatch {
  readonly spec: PoolSpec;
  readonly reflector: Reflector;
  close(): Promise<void>;
}

const sameSpec = (a: PoolSpec, b: PoolSpec): boolean => JSON.stringify(a) === JSON.stringify(b);

function watchPods(
  client: Pick<KubeClient, "list" | "watch">,
  namespace: string,
  spec: PoolSpec,
  store: EndpointStore,
  logger: Logger,
): PodWatch {
  const labels = Object.entries(spec.selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const selection = { namespace, labelSelector: labels.join(",") };
  const reflector = startReflector({ client, resource: KINDS.Pod, selection, transform: withoutManagedFields, logger });
  const unsubscribe = reflector.subscribe(() =>
    store.replace(reflector.cache.list().flatMap((pod) => endpointsOf(pod, spec))),
  );
  return {
    spec,
    reflector,
    close: async () => {
      unsubscribe();
      await reflector.close();
    },
  };
}
