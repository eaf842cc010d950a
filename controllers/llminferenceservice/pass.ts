import type { Json, JsonObject } from "../../crds/schema/types.ts";
import type { Resource } from "../../kube/resources.ts";
import type { KubeObject, ObjectKey, OwnerReference } from "../../kube/types.ts";
import type { GlobalConfig } from "../composition/global-config.ts";
import type { StringMap } from "../labels.ts";
import type { ChildNames } from "../names.ts";
import type { PodWarning } from "../status/pod-causes.ts";

/** The cluster as the operator's caches show it. Look-ups answer at once and never throw. */
export interface ClusterView {
  /** The object of that name; undefined where there is none, or where its kind is not served. */
  find(resource: Resource, key: ObjectKey): KubeObject | undefined;
  /** Objects of one namespace, of all where it is undefined, that carry the labels, ordered by namespace and name. */
  list(resource: Resource, namespace: string | undefined, labels?: StringMap): readonly KubeObject[];
  /** Whether the API server serves the kind. */
  serves(resource: Resource): boolean;
  /** Names of the namespace's services that serve a model of that name; absent in a view without that index. */
  serving?(namespace: string, model: string): readonly string[];
  /** Warning Events about a pod, newest first; absent in a view without Events. */
  podWarnings?(pod: KubeObject): readonly PodWarning[];
}

/** Settings of the operator process that decide what it writes. */
export interface OperatorSettings {
  /** Namespace of the operator: presets, `inferenceservice-config`, `config-scheduler-…` ConfigMaps. */
  readonly systemNamespace: string;
  /** DNS domain of the cluster, such as `cluster.local`. */
  readonly clusterDomain: string;
  /** First label put in place of `*` in a listener's wildcard hostname. */
  readonly wildcardHostname: string;
}

/** A key pair and certificates in PEM. */
export interface CertificateBundle {
  readonly certificate: string;
  readonly privateKey: string;
  readonly authority: string;
}

/** What a certificate has to be valid for; both lists are sorted. */
export interface CertificateRequest {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** One pass over one service: everything its children are built from. */
export interface Pass {
  readonly name: string;
  readonly namespace: string;
  readonly names: ChildNames;
  readonly owner: OwnerReference;
  /** Metadata of the service itself. */
  readonly labels: StringMap;
  readonly annotations: StringMap;
  /** The effective spec: presets, base refs, own spec, rendered. */
  readonly spec: JsonObject;
  readonly global: GlobalConfig;
  readonly settings: OperatorSettings;
  readonly cluster: ClusterView;
  /** Wall clock of the pass, ms since the epoch. */
  readonly nowMs: number;
  /** Makes a key and a certificate: the one source of randomness of a pass. */
  readonly issueCertificate: (request: CertificateRequest) => CertificateBundle;
}

/**
 * Why children cannot be built. Becomes a False condition with that reason; the children of the step stay as they are.
 * The message names field, value, cause and remedy.
 */
export class PassError extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.name = "PassError";
    this.reason = reason;
  }
}

/** A decoded object of the API server as plain JSON: what came off the wire is nothing else. */
export function asJson(object: KubeObject | undefined): JsonObject | undefined {
  return object === undefined ? undefined : (object as Json as JsonObject);
}

/** A namespaced child of the service with its owner reference. Empty annotations are left out. */
export function child(
  pass: Pass,
  resource: Resource,
  metadata: { readonly name: string; readonly labels: StringMap; readonly annotations?: StringMap },
  body: JsonObject,
): KubeObject {
  const annotations = metadata.annotations ?? {};
  return {
    apiVersion: resource.apiVersion,
    kind: resource.kind,
    metadata: {
      name: metadata.name,
      namespace: pass.namespace,
      labels: metadata.labels,
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      ownerReferences: [pass.owner],
    },
    ...body,
  };
}

/** The live object of that name if this service controls it; a foreign object of the name is not ours to read. */
export function ownedChild(pass: Pass, resource: Resource, name: string): JsonObject | undefined {
  const live = pass.cluster.find(resource, { namespace: pass.namespace, name });
  return live !== undefined && isControlledBy(live, pass.owner.uid) ? asJson(live) : undefined;
}

/** Whether the object's controlling owner has that uid. */
export function isControlledBy(object: KubeObject, uid: string): boolean {
  return (object.metadata.ownerReferences ?? []).some((owner) => owner.controller === true && owner.uid === uid);
}
