import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KubeClient } from "../../kube/client.ts";
import { type ObjectChange, startReflector } from "../../kube/reflector.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { FOLLOWED_CLUSTERS, PICKER, assignmentFile } from "../envoy/config.ts";
import { at } from "../e2e/playground.ts";
import { textAt } from "../../playground/fields.ts";

const SCHEDULER = "llminferenceservice-scheduler";
const PORTS = { picker: 9002, model: 8000 } as const;

/** What a gateway's control plane does: it tells a proxy which pods of a service are ready. */
export interface Discovery {
  /** `ip:port` of ready pods. */
  readonly pickers: readonly string[];
  readonly endpoints: readonly string[];
  /** Resolves when the first list is written. */
  readonly synced: Promise<void>;
  close(): Promise<void>;
}

/** Follows the pods of a service and writes the files that `Upstreams.assignments` describes into `folder`. */
export function startDiscovery(client: KubeClient, service: string, folder: string): Discovery {
  const ready = new Map<string, { readonly kind: "picker" | "model"; readonly ip: string }>();
  let version = 0;
  const addresses = (kind: "picker" | "model"): string[] =>
    [...ready.values()].filter((pod) => pod.kind === kind).map(({ ip }) => `${ip}:${PORTS[kind]}`);
  const write = (): void => {
    version++;
    for (const cluster of FOLLOWED_CLUSTERS) {
      const path = join(folder, `${cluster}.json`);
      writeFileSync(
        `${path}.new`,
        assignmentFile(cluster, addresses(cluster === PICKER ? "picker" : "model"), version),
      );
      renameSync(`${path}.new`, path);
    }
  };
  const take = ({ type, object }: ObjectChange): void => {
    const { uid = "" } = object.metadata;
    const ip = textAt(object, "status", "podIP") ?? "";
    const kind = object.metadata.labels?.["app.kubernetes.io/component"] === SCHEDULER ? "picker" : "model";
    if (type === "deleted" || !isReady(object)) {
      if (ready.delete(uid)) write();
    } else if (!ready.has(uid)) {
      ready.set(uid, { kind, ip });
      write();
    }
  };
  write();
  const selection = { namespace: "default", labelSelector: `app.kubernetes.io/name=${service}` };
  const pods = startReflector({ client, resource: KINDS.Pod, selection });
  pods.subscribe(take);
  return {
    get pickers() {
      return addresses("picker");
    },
    get endpoints() {
      return addresses("model");
    },
    synced: pods.whenSynced(),
    close: () => pods.close(),
  };
}

function isReady(pod: KubeObject): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  const conditions = at(pod, "status.conditions");
  return (Array.isArray(conditions) ? conditions : []).some(
    (condition: unknown) => at(condition, "type") === "Ready" && at(condition, "status") === "True",
  );
}
