import type { ObjectChange } from "../../kube/reflector.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { type KubeObject, type ObjectKey, parseKey } from "../../kube/types.ts";
import type { Json } from "../../crds/schema/types.ts";
import { type Dependencies, tokensOf } from "../cluster/dependencies.ts";
import { at, isObject, objectAt, sameJson } from "../../crds/json.ts";
import { NAME_LABEL } from "../labels.ts";
import { asJson } from "./pass.ts";

/** Services that a change concerns. */
export interface Affected {
  /** The service that changed, or whose child changed: it goes first. */
  readonly own: ObjectKey | undefined;
  /** Services that looked the object up in their last pass. */
  readonly dependents: readonly ObjectKey[];
}

const NOBODY: Affected = { own: undefined, dependents: [] };

/** The services that a change concerns: the service itself, the owner of a child or of a pod, and those that looked it up. */
export function affectedServices(dependencies: Dependencies, resource: Resource, change: ObjectChange): Affected {
  if (!matters(resource, change)) return NOBODY;
  const { object } = change;
  const dependents = [...dependencies.of(tokensOf(resource, object))].map(parseKey);
  return { own: owningService(resource, object), dependents };
}

/** Whether anything but bookkeeping changed. */
function matters(resource: Resource, change: ObjectChange): boolean {
  if (change.type !== "updated") return true;
  return !sameJson(content(resource, change.previous), content(resource, change.object));
}

/** The part of an object that may matter to anybody. */
function content(resource: Resource, object: KubeObject): unknown {
  const { resourceVersion: version, managedFields: _fields, ...metadata } = object.metadata;
  // Of an object watched by name alone the version is all that tells a change.
  if (Object.keys(object).length === 3) return { version, metadata };
  // Its status tells who uses it: with every service that begins to, it would wake all others.
  if (resource === KINDS.LLMInferenceServiceConfig) return { spec: at(asJson(object), "spec") ?? null };
  if (resource === KINDS.Gateway) return { ...object, metadata, status: gatewayContent(asJson(object)) };
  return { ...object, metadata };
}

/** A Gateway counts the routes of each listener: with thousands of services that must not wake them all. */
function gatewayContent(gateway: Json | undefined): unknown {
  const { listeners, ...status } = objectAt(gateway, "status") ?? {};
  return {
    ...status,
    listeners: (Array.isArray(listeners) ? listeners : []).map((listener) =>
      isObject(listener) ? { ...listener, attachedRoutes: 0 } : listener,
    ),
  };
}

function owningService(resource: Resource, object: KubeObject): ObjectKey | undefined {
  const { namespace, name, ownerReferences = [], labels = {} } = object.metadata;
  if (resource === KINDS.LLMInferenceService) return { namespace, name };
  const service = labels[NAME_LABEL];
  if (resource === KINDS.Pod) return service === undefined ? undefined : { namespace, name: service };
  const owner = ownerReferences.find(
    ({ kind, controller }) => kind === KINDS.LLMInferenceService.kind && controller === true,
  );
  if (owner !== undefined) return { namespace, name: owner.name };
  if (resource !== KINDS.ClusterRoleBinding || service === undefined) return undefined;
  const subject = at(asJson(object), "subjects");
  const subjectNamespace = Array.isArray(subject) ? at(subject[0], "namespace") : undefined;
  return typeof subjectNamespace === "string" ? { namespace: subjectNamespace, name: service } : undefined;
}
