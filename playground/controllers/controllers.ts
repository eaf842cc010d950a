import type { KubeClient } from "../../kube/client.ts";
import { createEventRecorder } from "../../kube/events.ts";
import { selectorMatches } from "../../kube/labels.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, keyOf } from "../../kube/types.ts";
import { type Logger, silentLogger } from "../../telemetry/log.ts";
import { textMapAt } from "../fields.ts";
import { createKeyedWorker } from "../keyed-worker.ts";
import { type Change, type Mirror, mirrorObjects } from "../mirror.ts";
import { type ControllerContext, reconcileDeployment } from "./deployment-controller.ts";
import { startGarbageCollector } from "./garbage-collector.ts";
import { controllerOf } from "./ownership.ts";
import { reconcileReplicaSet } from "./replica-set-controller.ts";
import { labelsOf } from "./selector.ts";
import { reconcileService } from "./service-controller.ts";

/** Parts that tests replace. */
export interface ControllersOptions {
  readonly logger?: Logger;
  /** Wall clock in ms. */
  readonly now?: () => number;
  /** Numbers in [0, 1). */
  readonly random?: () => number;
}

/** Running controllers. */
export interface Controllers {
  close(): Promise<void>;
}

/**
 * Starts what a cluster's controller manager does for this product: Deployments, ReplicaSets, the EndpointSlices of
 * Services, and garbage collection. Resolves when the present objects are known.
 */
export async function startControllers(client: KubeClient, options: ControllersOptions = {}): Promise<Controllers> {
  const logger = (options.logger ?? silentLogger).child({ logger: "controllers" });
  const now = options.now ?? Date.now;
  const events = createEventRecorder(client, { component: "controller-manager", logger, now });
  const context: ControllerContext = { client, events, now, random: options.random ?? Math.random };
  const deployments = createKeyedWorker("deployment", (key) => reconcileDeployment(context, key), logger);
  const replicaSets = createKeyedWorker("replicaset", (key) => reconcileReplicaSet(context, key), logger);
  const services = createKeyedWorker("service", (key) => reconcileService(context, key), logger);

  const addOwner = (object: KubeObject, kind: string, add: (key: string) => void): void => {
    const owner = controllerOf(object);
    if (owner?.kind === kind) add(keyOf({ namespace: object.metadata.namespace, name: owner.name }));
  };
  const onReplicaSet = ({ object, previous }: Change): void => {
    const set = object ?? previous;
    if (set === undefined) return;
    replicaSets.add(keyOf(set.metadata));
    addOwner(set, "Deployment", deployments.add);
  };
  const onPod = ({ object, previous }: Change): void => {
    for (const pod of [object, previous]) if (pod !== undefined) wakeFor(pod);
  };
  const wakeFor = (pod: KubeObject): void => {
    addOwner(pod, "ReplicaSet", (key) => {
      replicaSets.add(key);
      const set = sets.list().find((candidate) => keyOf(candidate.metadata) === key);
      if (set !== undefined) addOwner(set, "Deployment", deployments.add);
    });
    const inNamespace = serviceMirror.list().filter((one) => one.metadata.namespace === pod.metadata.namespace);
    for (const service of inNamespace)
      if (selectorMatches({ matchLabels: textMapAt(service, "spec", "selector") }, labelsOf(pod)))
        services.add(keyOf(service.metadata));
  };
  const addKey = (add: (key: string) => void) => (change: Change) =>
    add(keyOf((change.object ?? change.previous!).metadata));

  const sets: Mirror = mirrorObjects(client, KINDS.ReplicaSet, { logger, onChange: onReplicaSet });
  const serviceMirror: Mirror = mirrorObjects(client, KINDS.Service, { logger, onChange: addKey(services.add) });
  const mirrors = [
    sets,
    serviceMirror,
    mirrorObjects(client, KINDS.Deployment, { logger, onChange: addKey(deployments.add) }),
    mirrorObjects(client, KINDS.Pod, { logger, onChange: onPod }),
  ];
  const collector = await startGarbageCollector(client, logger);
  await Promise.all(mirrors.map((mirror) => mirror.synced));
  return {
    close: async () => {
      await Promise.all(mirrors.map((mirror) => mirror.close()));
      await Promise.all([deployments.close(), replicaSets.close(), services.close(), collector.close()]);
      await events.flush();
    },
  };
}
