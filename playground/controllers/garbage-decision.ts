import type { KubeObject, OwnerReference } from "../../kube/types.ts";

/** Finalizer of an object that waits for its dependents, and of one that lets them live. */
export const FOREGROUND = "foregroundDeletion";
export const ORPHAN = "orphan";

/** How an owner stands: there, gone, or waiting for its dependents to go. */
export type OwnerState = "solid" | "gone" | "waiting";

/** What a collector does with an object whose owners it has looked at. */
export type Collection =
  | { readonly action: "keep" }
  /** Forget owners that are gone or on their way, since others remain. */
  | { readonly action: "disown"; readonly uids: ReadonlySet<string> }
  | { readonly action: "delete"; readonly policy: "Orphan" | "Foreground" | "Background" };

export const hasFinalizer = ({ metadata }: KubeObject, finalizer: string): boolean =>
  metadata.finalizers?.includes(finalizer) === true;

/** Whether an object is deleted, and waits until its dependents are gone. */
export const waitsForDependents = (object: KubeObject): boolean =>
  object.metadata.deletionTimestamp !== undefined && hasFinalizer(object, FOREGROUND);

/**
 * Decides on an object that is not being deleted. `owners` are its owner references with their states, `isOwner` tells whether
 * it has dependents itself. Source: garbage collection of Kubernetes.
 */
export function collectionOf(
  object: KubeObject,
  owners: readonly (readonly [reference: OwnerReference, state: OwnerState])[],
  isOwner: boolean,
): Collection {
  const of = (state: OwnerState): string[] => owners.filter((owner) => owner[1] === state).map(([{ uid }]) => uid);
  const [solid, gone, waiting] = [of("solid"), of("gone"), of("waiting")];
  if (owners.length === 0) return { action: "keep" };
  if (solid.length > 0) {
    const uids = new Set([...gone, ...waiting]);
    return uids.size === 0 ? { action: "keep" } : { action: "disown", uids };
  }
  if (waiting.length > 0 && isOwner) return { action: "delete", policy: "Foreground" };
  if (hasFinalizer(object, ORPHAN)) return { action: "delete", policy: "Orphan" };
  return { action: "delete", policy: hasFinalizer(object, FOREGROUND) ? "Foreground" : "Background" };
}
