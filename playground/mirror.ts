import type { KubeClient } from "../kube/client.ts";
import { type ObjectChange, startReflector, withoutManagedFields } from "../kube/reflector.ts";
import type { Resource } from "../kube/resources.ts";
import type { KubeObject, ObjectKey } from "../kube/types.ts";
import type { Logger } from "../telemetry/log.ts";

/** One change of an object; `object` is absent when it was deleted, `previous` when it is new. */
export interface Change {
  readonly object: KubeObject | undefined;
  readonly previous: KubeObject | undefined;
}

/** A local copy of all objects of a kind that follows the API server. */
export interface Mirror {
  readonly resource: Resource;
  list(): readonly KubeObject[];
  get(key: ObjectKey): KubeObject | undefined;
  /** Resolves when the first list is in, or the kind turned out not to be served, or on close. */
  readonly synced: Promise<void>;
  close(): Promise<void>;
}

/**
 * Follows a kind; one that is not served counts as empty and is looked for again. `onChange` hears of every object once
 * after the first list, and of each change after that. Objects come without their managed fields.
 */
export function mirrorObjects(
  client: KubeClient,
  resource: Resource,
  options: { readonly logger: Logger; readonly onChange?: (change: Change) => void; readonly metadataOnly?: boolean },
): Mirror {
  const { logger, onChange, metadataOnly } = options;
  const reflector = startReflector({
    client,
    resource,
    logger,
    optional: true,
    transform: withoutManagedFields,
    ...(metadataOnly === true ? { selection: { metadataOnly } } : {}),
  });
  if (onChange !== undefined) reflector.subscribe((change) => onChange(pairOf(change)));
  return {
    resource,
    list: () => reflector.cache.list(),
    get: (key) => reflector.cache.get(key),
    synced: reflector.whenSynced().catch(() => undefined),
    close: () => reflector.close(),
  };
}

function pairOf(change: ObjectChange): Change {
  switch (change.type) {
    case "added":
      return { object: change.object, previous: undefined };
    case "updated":
      return { object: change.object, previous: change.previous };
    case "deleted":
      return { object: undefined, previous: change.object };
  }
}
