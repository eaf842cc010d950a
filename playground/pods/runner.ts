import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { KubeClient } from "../../kube/client.ts";
import { createEventRecorder } from "../../kube/events.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, isNotFound, keyOf, parseKey } from "../../kube/types.ts";
import { type Logger, silentLogger } from "../../telemetry/log.ts";
import type { PodLogs } from "../apiserver/logs.ts";
import { type Fields, field, numberAt, recordAt, sameJson, textAt } from "../fields.ts";
import { createKeyedWorker } from "../keyed-worker.ts";
import { type Change, mirrorObjects } from "../mirror.ts";
import { accessVariables, enterWithAccount, requestToken } from "./account.ts";
import { type AddressNetwork, claimNetwork } from "./address-network.ts";
import type { PodSettings } from "./container.ts";
import { type ImageCatalog, type Entries, createImages } from "./images.ts";
import { Pod } from "./pod.ts";
import { dataOf } from "./volumes.ts";
import { RUN_VARIABLE, startWatchdog } from "./watchdog.ts";

/** The node that all pods of a playground run on. */
export const NODE_NAME = "playground";

/** Paces for a playground: ready as soon as the processes are, and soon gone. */
export const PLAYGROUND_SETTINGS: PodSettings = { backOffMs: 1000, eagerProbeIntervalMs: 100, preStopLimitMs: 500 };

/** Grace of pods when the runner itself ends, ms. */
const CLOSE_GRACE_MS = 2000;

/**
 * How the processes of pods reach the API server: all by one kubeconfig (a path), or as in a cluster, each pod under its own
 * ServiceAccount with what the API server has projected into its containers.
 */
export type PodAccess = { readonly kubeconfig: string } | { readonly apiServer: string };

/** What a runner needs. */
export interface PodRunnerOptions {
  readonly client: KubeClient;
  /** Programs of this product that containers run as. */
  readonly entries: Entries;
  readonly access: PodAccess;
  /** Folder of this run alone: stand-in programs and the volumes of pods. It is removed in the end. */
  readonly folder: string;
  /** Folder of persistent volume claims; default inside `folder`. */
  readonly claims?: string;
  /** Addresses of pods; default loopback addresses. It is closed with the runner. */
  readonly network?: AddressNetwork;
  readonly settings?: Partial<PodSettings>;
  /** Further variables of every process. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly logger?: Logger;
  /** Wall clock in ms. */
  readonly now?: () => number;
}

/** A running pod runner. */
export interface PodRunner {
  /** Answers `pods/log`; empty where the pod, the container or its previous run is not here. */
  readonly logs: PodLogs;
  /** Ends all pods without touching their objects; no process is left. */
  close(): Promise<void>;
}

interface Entry {
  readonly pod: Pod;
  readonly uid: string;
  object: KubeObject;
  status: Fields | undefined;
  /** Time that its end was last given, ms; undefined while it is to run. */
  graceMs: number | undefined;
}

/**
 * Runs the pods of the API server as local processes, each pod on a loopback address of its own, and writes their status,
 * as scheduler and kubelet of a one-node cluster. No process outlives this one, however it ends.
 */
export async function createPodRunner(options: PodRunnerOptions): Promise<PodRunner> {
  const { client, folder } = options;
  const logger = (options.logger ?? silentLogger).child({ logger: "pods" });
  const now = options.now ?? Date.now;
  const settings = { ...PLAYGROUND_SETTINGS, ...options.settings };
  const runId = randomUUID();
  const network = options.network ?? (await claimNetwork());
  const hostIP = network.allocate();
  const watchdog = startWatchdog(runId, folder);
  const images: ImageCatalog = createImages({ entries: options.entries, folder });
  const events = createEventRecorder(client, { component: "kubelet", logger, now });
  const scheduler = createEventRecorder(client, { component: "default-scheduler", logger, now });
  const entries = new Map<string, Entry>();
  const ownAccounts = "apiServer" in options.access;
  let closed = false;

  const inherited = Object.entries(process.env).filter(([name]) => name.startsWith("LLMISVC_"));
  const environment = {
    ...Object.fromEntries(inherited.map(([name, value]) => [name, value ?? ""])),
    NODE_COMPILE_CACHE: join(options.claims ?? folder, "compile-cache"),
    ...options.environment,
    ...accessVariables(options.access),
    NODE_NAME,
    [RUN_VARIABLE]: runId,
  };

  const reconcile = async (key: string): Promise<undefined> => {
    const object = mirror.get(parseKey(key));
    const entry = entries.get(key);
    if (entry !== undefined && (object === undefined || object.metadata.uid !== entry.uid)) {
      void end(key, entry, 0);
      return undefined;
    }
    if (object === undefined || closed) return undefined;
    if (object.metadata.deletionTimestamp !== undefined) {
      if (entry === undefined) await removeObject(object);
      else void end(key, entry, graceOf(object));
      return undefined;
    }
    if (entry !== undefined) {
      entry.object = object;
      return undefined;
    }
    if (isOver(object)) return undefined;
    if (textAt(object, "spec", "nodeName") === undefined) await bind(object);
    else if (textAt(object, "spec", "nodeName") === NODE_NAME) begin(key, object);
    return undefined;
  };

  const bind = async (object: KubeObject): Promise<void> => {
    const { name: pod, namespace, uid } = object.metadata;
    const { apiVersion, kind } = KINDS.Binding;
    const target = { apiVersion: "v1", kind: "Node", name: NODE_NAME };
    const binding = { apiVersion, kind, metadata: { name: pod, namespace, uid }, target };
    await client.create(binding, { subresource: "binding", fieldManager: "kube-scheduler" });
    const name = keyOf(object.metadata);
    scheduler.record(object, "Normal", "Scheduled", `Successfully assigned ${name} to ${NODE_NAME}`);
  };

  const begin = (key: string, object: KubeObject): void => {
    const { namespace = "default", uid = "" } = object.metadata;
    const pod = new Pod(object, network.allocate(), {
      images,
      settings,
      logger,
      now,
      hostIP,
      environment,
      folders: { pod: join(folder, "pods", uid), claims: options.claims ?? join(folder, "claims") },
      sources: {
        read: async (kind, name) => {
          const found = await client.find(KINDS[kind], { namespace, name });
          return found === undefined ? undefined : dataOf(found);
        },
        token: ownAccounts ? (projection) => requestToken(client, object, projection) : undefined,
      },
      enter: ownAccounts ? enterWithAccount : undefined,
      onChange: () => statuses.add(key),
      event: (type, reason, message) => events.record(object, type, reason, message),
    });
    entries.set(key, { pod, uid, object, status: recordAt(object, "status"), graceMs: undefined });
    pod.start();
    statuses.add(key);
  };

  const end = async (key: string, entry: Entry, graceMs: number): Promise<void> => {
    const { graceMs: given } = entry;
    if (given !== undefined && given <= graceMs) return;
    entry.graceMs = graceMs;
    const stopped = entry.pod.stop(graceMs);
    if (given !== undefined) return;
    await stopped;
    network.release(entry.pod.address);
    await writeStatus(key).catch(() => undefined);
    entries.delete(key);
    if (closed) return;
    await removeObject(entry.object).catch((error: unknown) => logger.warn("pod object not removed", { key, error }));
    pods.add(key);
  };

  const removeObject = async (object: KubeObject): Promise<void> => {
    const options = { uid: object.metadata.uid, gracePeriodSeconds: 0 };
    await client.delete(KINDS.Pod, object.metadata, options).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  };

  const writeStatus = async (key: string): Promise<undefined> => {
    const entry = entries.get(key);
    if (entry === undefined || closed) return undefined;
    const status = entry.pod.status(entry.status);
    if (sameJson(entry.status, status)) return undefined;
    const patch = { type: "merge", body: { metadata: { uid: entry.uid }, status } } as const;
    const written = { subresource: "status", fieldManager: "kubelet" };
    await client.patch(KINDS.Pod, parseKey(key), patch, written).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
    entry.status = status;
    return undefined;
  };

  const pods = createKeyedWorker("pod", reconcile, logger);
  const statuses = createKeyedWorker("pod-status", writeStatus, logger);
  const onPod = (change: Change): void => pods.add(keyOf((change.object ?? change.previous!).metadata));
  const onSource = ({ object, previous }: Change): void => {
    if (object === undefined || previous === undefined) return;
    for (const entry of entries.values())
      if (entry.object.metadata.namespace === object.metadata.namespace && mentions(entry.object, object))
        void entry.pod.refreshVolumes();
  };
  const mirror = mirrorObjects(client, KINDS.Pod, { logger, onChange: onPod });
  const sources = [KINDS.Secret, KINDS.ConfigMap].map((kind) =>
    mirrorObjects(client, kind, { logger, onChange: onSource }),
  );
  await mirror.synced;

  return {
    logs: (request) => {
      const pod = entries.get(keyOf({ namespace: request.namespace, name: request.pod }))?.pod;
      return pod?.container(request.container)?.log(request.previous)?.read(request, request.signal) ?? nothing();
    },
    close: async () => {
      closed = true;
      await Promise.all([mirror, ...sources].map((one) => one.close()));
      await Promise.all([pods.close(), statuses.close()]);
      await Promise.all([...entries.values()].map((entry) => entry.pod.stop(CLOSE_GRACE_MS)));
      await watchdog.close();
      await network.close();
    },
  };
}

function graceOf(object: KubeObject): number {
  const seconds =
    object.metadata.deletionGracePeriodSeconds ?? numberAt(object, "spec", "terminationGracePeriodSeconds") ?? 30;
  return seconds * 1000;
}

function isOver(object: KubeObject): boolean {
  const phase = textAt(object, "status", "phase");
  return phase === "Succeeded" || phase === "Failed";
}

/** Whether a volume of the pod names the Secret or ConfigMap. */
function mentions(pod: KubeObject, source: KubeObject): boolean {
  return JSON.stringify(field(pod, "spec", "volumes") ?? []).includes(JSON.stringify(source.metadata.name));
}

async function* nothing(): AsyncGenerator<string, void, undefined> {}
