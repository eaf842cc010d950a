import { randomBytes } from "node:crypto";
import type { KubeClient } from "../kube/client.ts";
import { KINDS } from "../kube/resources.ts";
import { type KubeObject, isNotFound } from "../kube/types.ts";
import { type Logger, describeError } from "../telemetry/log.ts";
import { timestamp } from "./conditions.ts";

/** Events that are remembered so that a repetition raises their count. */
const REMEMBERED = 1024;

/** Writes Events about objects (core v1); never throws, never blocks. */
export interface EventRecorder {
  record(object: KubeObject, type: "Normal" | "Warning", reason: string, message: string, fieldPath?: string): void;
  /** Resolves when everything recorded so far is written. */
  flush(): Promise<void>;
}

interface Known {
  readonly name: string;
  count: number;
}

/** Creates a recorder for one component; `now` is the wall clock in ms. */
export function createEventRecorder(
  client: KubeClient,
  component: string,
  options: { readonly logger: Logger; readonly now: () => number },
): EventRecorder {
  const known = new Map<string, Known>();
  let tail = Promise.resolve();
  const write = async (object: KubeObject, event: Readonly<Record<string, unknown>>, key: string): Promise<void> => {
    const namespace = object.metadata.namespace ?? "default";
    const time = timestamp(options.now());
    const repeated = known.get(key);
    if (repeated !== undefined) {
      repeated.count++;
      const body = { count: repeated.count, lastTimestamp: time };
      try {
        await client.patch(KINDS.Event, { namespace, name: repeated.name }, { type: "merge", body });
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error;
        known.delete(key);
      }
    }
    const name = `${object.metadata.name}.${randomBytes(8).toString("hex")}`;
    if (known.size >= REMEMBERED) known.delete(known.keys().next().value ?? "");
    known.set(key, { name, count: 1 });
    const times = { firstTimestamp: time, lastTimestamp: time, count: 1 };
    await client.create({ apiVersion: "v1", kind: "Event", metadata: { name, namespace }, ...event, ...times });
  };
  return {
    record: (object, type, reason, message, fieldPath) => {
      const { namespace, name, uid, resourceVersion } = object.metadata;
      const { apiVersion, kind } = object;
      const reference = { apiVersion, kind, namespace, name, uid, resourceVersion, ...(fieldPath && { fieldPath }) };
      const source = { component, ...(component === "kubelet" ? { host: "playground" } : {}) };
      const event = { involvedObject: reference, type, reason, message, source, reportingComponent: component };
      const key = JSON.stringify([uid, fieldPath, type, reason, message]);
      tail = tail
        .then(() => write(object, event, key))
        .catch((error: unknown) => options.logger.v(3, "event not written", { error: describeError(error) }));
    },
    flush: () => tail,
  };
}
