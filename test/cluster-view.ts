import { matchesLabels } from "../controllers/labels.ts";
import type { ClusterView } from "../controllers/llminferenceservice/pass.ts";
import type { PodWarning } from "../controllers/status/pod-causes.ts";
import { type Resource, gvkText } from "../kube/resources.ts";
import { type KubeObject, keyOf } from "../kube/types.ts";

/** What a `clusterOf` is made of besides objects. */
export interface ClusterExtras {
  /** Kinds that are not served, such as `HTTPRoute`; default none. */
  readonly unserved?: readonly string[];
  /** Warning Events by name of the pod. */
  readonly warnings?: Readonly<Record<string, readonly PodWarning[]>>;
}

/** A cluster of those objects, as the caches of an operator would show it. */
export function clusterOf(objects: readonly KubeObject[], extras: ClusterExtras = {}): ClusterView {
  const serves = (resource: Resource): boolean => !(extras.unserved ?? []).includes(resource.kind);
  const of = (resource: Resource): readonly KubeObject[] =>
    serves(resource) ? objects.filter((object) => gvkText(object) === gvkText(resource)) : [];
  return {
    serves,
    find: (resource, key) => of(resource).find((object) => keyOf(object.metadata) === keyOf(key)),
    list: (resource, namespace, labels = {}) =>
      of(resource)
        .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
        .filter(({ metadata }) => matchesLabels(metadata.labels, labels)),
    podWarnings: (pod) => extras.warnings?.[pod.metadata.name] ?? [],
  };
}
