import type { ObjectChange } from "../../kube/reflector.ts";
import { type Resource, KINDS } from "../../kube/resources.ts";
import type { KubeObject, ObjectKey } from "../../kube/types.ts";
import { sameJson } from "../json-edit.ts";
import type { ClusterView } from "./pass.ts";

/** Kinds whose objects many services read: a change concerns every service that can see them. */
const SHARED: ReadonlySet<Resource> = new Set<Resource>([
  KINDS.LLMInferenceServiceConfig,
  KINDS.ConfigMap,
  KINDS.Gateway,
  KINDS.GatewayClass,
  KINDS.HTTPRoute,
  KINDS.InferencePool,
  KINDS.InferencePoolV1Alpha2,
  KINDS.ServiceAccount,
  KINDS.Secret,
]);

/**
 * The services that a change concerns: the service itself, the owner of a child, or, for objects that services share, those
 * in its namespace, or all where it lies in the operator's namespace or in none.
 */
export function affectedServices(
  cluster: ClusterView,
  resource: Resource,
  change: ObjectChange,
  systemNamespace: string,
): readonly ObjectKey[] {
  if (!matters(change)) return [];
  const { object } = change;
  if (resource === KINDS.LLMInferenceService) return [object.metadata];
  const owner = owningService(object);
  if (owner !== undefined) return [owner];
  if (!SHARED.has(resource)) return [];
  const { namespace } = object.metadata;
  const everywhere = namespace === undefined || namespace === systemNamespace || resource === KINDS.Gateway;
  const services = cluster.list(KINDS.LLMInferenceService, everywhere ? undefined : namespace);
  return services.map((service) => service.metadata);
}

/** Whether anything but bookkeeping changed. */
function matters(change: ObjectChange): boolean {
  if (change.type !== "updated") return true;
  return !sameJson(content(change.previous), content(change.object));
}

function content(object: KubeObject): unknown {
  const { resourceVersion: _version, managedFields: _fields, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function owningService(object: KubeObject): ObjectKey | undefined {
  const { namespace, ownerReferences = [] } = object.metadata;
  const owner = ownerReferences.find(
    ({ kind, controller }) => kind === KINDS.LLMInferenceService.kind && controller === true,
  );
  return owner && { namespace, name: owner.name };
}
