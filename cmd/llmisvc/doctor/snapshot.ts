import { type KubeClient, listAll } from "../../../kube/client.ts";
import { KINDS, type Resource } from "../../../kube/resources.ts";
import { KubeError, type KubeObject } from "../../../kube/types.ts";
import { describeError } from "../../../telemetry/log.ts";

/** Kinds that are looked at; those of the cluster in whole, the others in the chosen namespaces. */
const CLUSTER_KINDS = [
  KINDS.CustomResourceDefinition,
  KINDS.MutatingWebhookConfiguration,
  KINDS.ValidatingWebhookConfiguration,
  KINDS.GatewayClass,
  KINDS.Gateway,
] as const;
const SERVICE_KINDS = [
  KINDS.LLMInferenceService,
  KINDS.Pod,
  KINDS.Service,
  KINDS.EndpointSlice,
  KINDS.InferencePool,
  KINDS.HTTPRoute,
  KINDS.Deployment,
] as const;
const OPERATOR_KINDS = [
  KINDS.Deployment,
  KINDS.Pod,
  KINDS.Service,
  KINDS.EndpointSlice,
  KINDS.ConfigMap,
  KINDS.LLMInferenceServiceConfig,
] as const;

/** A cluster at one moment, as far as the checks look at it. */
export interface Snapshot {
  readonly serverVersion: string;
  readonly nowMs: number;
  /** Objects of a kind; in one namespace where it is given. Empty where the kind could not be read. */
  list(resource: Resource, namespace?: string): readonly KubeObject[];
  find(resource: Resource, namespace: string | undefined, name: string): KubeObject | undefined;
  /** Why a kind could not be read: `missing` where the API server does not serve it. */
  unreadable(resource: Resource): string | undefined;
}

/** What to look at. */
export interface Scope {
  /** Namespace of the services; undefined: all. */
  readonly namespace: string | undefined;
  /** Namespace of the operator. */
  readonly systemNamespace: string;
}

/** Reads everything that the checks need; what may not be read is noted, not thrown. */
export async function takeSnapshot(client: KubeClient, scope: Scope, nowMs: number): Promise<Snapshot> {
  const version = (await client.getRaw("/version")) as { readonly gitVersion?: string };
  const reads = [
    ...CLUSTER_KINDS.map((resource) => [resource, undefined] as const),
    ...SERVICE_KINDS.map((resource) => [resource, scope.namespace] as const),
    ...OPERATOR_KINDS.map((resource) => [resource, scope.systemNamespace] as const),
  ];
  const objects = new ObjectTable();
  await Promise.all(reads.map(([resource, namespace]) => objects.read(client, resource, namespace)));
  return {
    serverVersion: version.gitVersion ?? "unknown",
    nowMs,
    list: (resource, namespace) => objects.list(resource, namespace),
    find: (resource, namespace, name) =>
      objects.list(resource, namespace).find((object) => object.metadata.name === name),
    unreadable: (resource) => objects.problems.get(resource),
  };
}

class ObjectTable {
  readonly problems = new Map<Resource, string>();
  readonly #objects = new Map<Resource, Map<string, KubeObject>>();

  async read(client: KubeClient, resource: Resource, namespace: string | undefined): Promise<void> {
    try {
      const { items } = await listAll(client, resource, { namespace });
      const known = this.#objects.get(resource) ?? new Map<string, KubeObject>();
      for (const item of items) known.set(`${item.metadata.namespace}/${item.metadata.name}`, item);
      this.#objects.set(resource, known);
    } catch (error) {
      const missing = error instanceof KubeError && error.code === 404;
      this.problems.set(resource, missing ? "missing" : describeError(error));
    }
  }

  list(resource: Resource, namespace?: string): readonly KubeObject[] {
    const all = [...(this.#objects.get(resource)?.values() ?? [])];
    return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace);
  }
}
