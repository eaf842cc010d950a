import type { KubeClient } from "../kube/client.ts";
import { ObjectCache, byNamespace } from "../kube/cache.ts";
import { type ObjectChange, type Reflector, type ReflectorMetrics, startReflector } from "../kube/reflector.ts";
import { type Resource, KINDS, groupOf, gvkText } from "../kube/resources.ts";
import { type GroupVersionKind, type KubeObject, type ObjectKey, keyOf } from "../kube/types.ts";
import type { Logger } from "../telemetry/log.ts";
import { matchesLabels, type StringMap } from "./labels.ts";
import { CHILD_KINDS } from "./llminferenceservice/sweep.ts";
import type { ClusterView } from "./llminferenceservice/pass.ts";

/** What the reconcilers read besides children: what routes, configures and is configured. */
const READ_KINDS: readonly Resource[] = [
  KINDS.LLMInferenceService,
  KINDS.LLMInferenceServiceConfig,
  KINDS.ConfigMap,
  KINDS.Gateway,
  KINDS.GatewayClass,
  KINDS.ClusterRoleBinding,
];

const BY_NAMESPACE = "namespace";

/** Groups that every API server serves. */
const BUILT_IN = new Set(["", "apps", "autoscaling", "rbac.authorization.k8s.io"]);

/** Told of every change of every mirrored kind. */
export type ClusterListener = (resource: Resource, change: ObjectChange) => void;

/** How long a write of our own may outrun the watch that reports it. */
const WATCH_LAG_MS = 5_000;

/** The cluster as local caches show it, kept up to date by watches. */
export interface Cluster extends ClusterView {
  /** Shows an object as just written, until the watch has caught up. */
  remember(object: KubeObject): void;
  /** Resolves when every cache holds a complete list. */
  whenSynced(): Promise<void>;
  subscribe(listener: ClusterListener): void;
  close(): Promise<void>;
}

/**
 * Mirrors every kind that the operator reads. Kinds of other projects may be absent: they count as empty, and are found when
 * their definitions come.
 */
export function mirrorCluster(client: KubeClient, logger: Logger, metrics?: ReflectorMetrics): Cluster {
  return new MirroredCluster(client, logger, metrics);
}

const writtenKey = (gvk: GroupVersionKind, key: ObjectKey): string => `${gvkText(gvk)} ${keyOf(key)}`;

class MirroredCluster implements Cluster {
  readonly #reflectors = new Map<string, Reflector>();
  readonly #definitions: Reflector;
  readonly #written = new Map<string, KubeObject>();

  constructor(client: KubeClient, logger: Logger, metrics: ReflectorMetrics | undefined) {
    const selection = { metadataOnly: true };
    const common = { client, logger, metrics };
    this.#definitions = startReflector({ ...common, resource: KINDS.CustomResourceDefinition, selection });
    for (const resource of new Set([...READ_KINDS, ...CHILD_KINDS])) {
      const cache = new ObjectCache({ [BY_NAMESPACE]: byNamespace });
      const optional = !BUILT_IN.has(groupOf(resource.apiVersion));
      this.#reflectors.set(gvkText(resource), startReflector({ ...common, resource, cache, optional }));
    }
  }

  async whenSynced(): Promise<void> {
    await Promise.all([this.#definitions, ...this.#reflectors.values()].map((reflector) => reflector.whenSynced()));
  }

  subscribe(listener: ClusterListener): void {
    for (const [kind, reflector] of this.#reflectors) {
      const resource = [...READ_KINDS, ...CHILD_KINDS].find((candidate) => gvkText(candidate) === kind)!;
      reflector.subscribe((change) => {
        this.#caughtUp(resource, change);
        listener(resource, change);
      });
    }
  }

  find(resource: Resource, key: ObjectKey): KubeObject | undefined {
    return this.#written.get(writtenKey(resource, key)) ?? this.#cache(resource).get(key);
  }

  remember(object: KubeObject): void {
    const key = writtenKey(object, object.metadata);
    this.#written.set(key, object);
    setTimeout(() => this.#forget(key, object), WATCH_LAG_MS).unref();
  }

  #caughtUp(resource: Resource, { type, object }: ObjectChange): void {
    const key = writtenKey(resource, object.metadata);
    const written = this.#written.get(key);
    const seen = type === "deleted" || object.metadata.resourceVersion === written?.metadata.resourceVersion;
    if (written !== undefined && seen) this.#written.delete(key);
  }

  #forget(key: string, object: KubeObject): void {
    if (this.#written.get(key) === object) this.#written.delete(key);
  }

  list(resource: Resource, namespace: string | undefined, labels: StringMap = {}): readonly KubeObject[] {
    const cache = this.#cache(resource);
    const objects = namespace === undefined ? cache.list() : cache.byIndex(BY_NAMESPACE, namespace);
    return objects
      .filter((object) => matchesLabels(object.metadata.labels ?? {}, labels))
      .sort((a, b) => (keyOf(a.metadata) < keyOf(b.metadata) ? -1 : 1));
  }

  serves(resource: Resource): boolean {
    const group = groupOf(resource.apiVersion);
    if (BUILT_IN.has(group)) return true;
    return this.#definitions.cache.get({ name: `${resource.plural}.${group}` }) !== undefined;
  }

  async close(): Promise<void> {
    await Promise.all([this.#definitions, ...this.#reflectors.values()].map((reflector) => reflector.close()));
  }

  #cache(resource: Resource): ObjectCache {
    const reflector = this.#reflectors.get(gvkText(resource));
    if (reflector === undefined) throw new Error(`${gvkText(resource)} is not mirrored`);
    return reflector.cache;
  }
}
