import { setTimeout as delay } from "node:timers/promises";
import { type KubeClient, listAll } from "../kube/client.ts";
import type { Resource } from "../kube/resources.ts";
import { type KubeObject, type ObjectKey, isNotFound, keyOf } from "../kube/types.ts";
import { type Logger, describeError } from "../telemetry/log.ts";
import { sameJson } from "./fields.ts";

/** Wait before a list after a watch that failed, and before another look for a kind that is not served yet. */
const RETRY_MS = 250;

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
  /** Resolves when the first list is in, or at once where the kind is not served. */
  readonly synced: Promise<void>;
  close(): void;
}

/**
 * Follows a kind by list and watch for as long as it takes; a kind that is not served counts as empty until it is.
 * `onChange` hears of every object once after the first list, and of each change after that.
 */
export function mirrorObjects(
  client: KubeClient,
  resource: Resource,
  options: { readonly logger: Logger; readonly onChange?: (change: Change) => void; readonly metadataOnly?: boolean },
): Mirror {
  const objects = new Map<string, KubeObject>();
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const selection = { signal: stop.signal, ...(options.metadataOnly === true ? { metadataOnly: true } : {}) };
  const put = (object: KubeObject): void => {
    const key = keyOf(object.metadata);
    const previous = objects.get(key);
    if (previous !== undefined && sameJson(previous, object)) return;
    objects.set(key, object);
    options.onChange?.({ object, previous });
  };
  const drop = (key: string): void => {
    const previous = objects.get(key);
    if (objects.delete(key)) options.onChange?.({ object: undefined, previous });
  };
  const relist = async (): Promise<string> => {
    const { items, resourceVersion } = await listAll(client, resource, selection);
    const present = new Set(items.map((item) => keyOf(item.metadata)));
    for (const key of objects.keys()) if (!present.has(key)) drop(key);
    items.forEach(put);
    ready.resolve();
    return resourceVersion;
  };
  const follow = async (resourceVersion: string): Promise<void> => {
    for await (const event of client.watch(resource, { ...selection, resourceVersion })) {
      if (event.type === "DELETED") drop(keyOf(event.object.metadata));
      else if (event.type !== "BOOKMARK") put(event.object);
    }
  };
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        await follow(await relist());
      } catch (error) {
        if (stop.signal.aborted) return;
        if (isNotFound(error)) ready.resolve();
        else options.logger.v(3, "watch again", { kind: resource.kind, error: describeError(error) });
      }
      await delay(RETRY_MS, undefined, { ref: false, signal: stop.signal }).catch(() => undefined);
    }
  };
  void run();
  return {
    resource,
    list: () => [...objects.values()],
    get: (key) => objects.get(keyOf(key)),
    synced: ready.promise,
    close: () => {
      ready.resolve();
      stop.abort(new Error("closed"));
    },
  };
}
