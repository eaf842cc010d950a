/** The kind of an object as objects themselves spell it: `apiVersion` is `v1` or `group/version`. */
export interface GroupVersionKind {
  readonly apiVersion: string;
  readonly kind: string;
}

/** Name of an object within its kind; cluster-scoped objects have no namespace. */
export interface ObjectKey {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** A reference from a child to its owner, which the garbage collector follows (Kubernetes meta/v1). */
export interface OwnerReference extends GroupVersionKind {
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean | undefined;
  readonly blockOwnerDeletion?: boolean | undefined;
}

/** One entry of `metadata.managedFields`: which fields one manager owns, in the FieldsV1 encoding. */
export interface ManagedFieldsEntry {
  readonly manager?: string | undefined;
  readonly operation?: string | undefined;
  readonly apiVersion?: string | undefined;
  readonly time?: string | undefined;
  readonly fieldsType?: string | undefined;
  readonly fieldsV1?: Readonly<Record<string, unknown>> | undefined;
  readonly subresource?: string | undefined;
}

/** Metadata as it travels: times are RFC 3339 strings, never `Date`. Fields the server sets are absent on desired objects. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly generation?: number | undefined;
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly deletionGracePeriodSeconds?: number | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly ownerReferences?: readonly OwnerReference[] | undefined;
  readonly finalizers?: readonly string[] | undefined;
  readonly managedFields?: readonly ManagedFieldsEntry[] | undefined;
}

/** Any Kubernetes object as raw JSON: fields newer than this code survive a read and a write. */
export interface KubeObject extends GroupVersionKind {
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** One page of a list. `continueToken` is absent on the last page. */
export interface KubeList {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  readonly continueToken?: string;
}

/**
 * One line of a watch. A bookmark carries only a resourceVersion. An ERROR line is thrown as `KubeError` by the client and
 * never yielded.
 */
export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

/** One complaint of the API server about one field (`Status.details.causes`). */
export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

/** `Status.details` of a refused request. */
export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** Parts of a `KubeError`; `code` 0 stands for a request that got no answer at all. */
export interface KubeErrorInit {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly details?: StatusDetails | undefined;
  readonly cause?: unknown;
}

/**
 * A request to the API server that failed.
 *
 * `code` is the HTTP status, or 0 when none arrived; `reason` is the machine-readable reason of the Status object
 * (`NotFound`, `Conflict`, `Expired` …) or one of ours: `ConnectionFailed`, `Timeout`, `BrokenStream`.
 */
export class KubeError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;
  readonly details: StatusDetails;

  constructor(init: KubeErrorInit) {
    super(init.message, { cause: init.cause });
    this.name = "KubeError";
    this.code = init.code;
    this.reason = init.reason;
    this.retryAfterSeconds = init.retryAfterSeconds ?? init.details?.retryAfterSeconds;
    this.details = init.details ?? {};
  }
}

/** Whether the object, or the kind itself, does not exist. */
export function isNotFound(error: unknown): error is KubeError {
  return error instanceof KubeError && error.code === 404;
}

/** Whether the object changed since it was read, or a field belongs to another manager. */
export function isConflict(error: unknown): error is KubeError {
  return error instanceof KubeError && error.code === 409 && error.reason !== "AlreadyExists";
}

/** Whether an object of that name exists already. */
export function isAlreadyExists(error: unknown): error is KubeError {
  return error instanceof KubeError && error.code === 409 && error.reason === "AlreadyExists";
}

/** Whether a resourceVersion or a continue token is too old to go on from: only a new list helps. */
export function isGone(error: unknown): error is KubeError {
  return error instanceof KubeError && (error.code === 410 || error.reason === "Expired" || error.reason === "Gone");
}

/** `namespace/name`, or `name` alone for cluster-scoped objects: the key of caches and work queues. */
export function keyOf(key: ObjectKey): string {
  return key.namespace === undefined || key.namespace === "" ? key.name : `${key.namespace}/${key.name}`;
}

/** The inverse of `keyOf`. */
export function parseKey(key: string): ObjectKey {
  const slash = key.indexOf("/");
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
