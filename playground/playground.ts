import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { KubeClient } from "../kube/client.ts";
import { createKubeClient, loadKubeConfig } from "../kube/http-client.ts";
import { KINDS, resourceOf } from "../kube/resources.ts";
import { KubeError, type KubeObject } from "../kube/types.ts";
import type { Logger } from "../telemetry/log.ts";
import { SYSTEM_NAMESPACE, defaultClusterObjects } from "./cluster-objects.ts";
import { type ControlPlane, type EmbeddedOptions, FIELD_MANAGER, embeddedControlPlane } from "./control-plane.ts";
import { field, numberAt, recordAt, recordsAt, textAt } from "./fields.ts";
import { createGateway } from "./gateway/gateway.ts";
import { OPERATOR_DEPLOYMENT, operatorObjects } from "./operator-objects.ts";
import type { Entries } from "./pods/images.ts";
import { createPodRunner } from "./pods/runner.ts";
import { until } from "./until.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const OPERATOR_PATIENCE = { timeoutMs: 60_000 };

/** Programs of this checkout that containers run as. */
export const PROGRAMS: Entries = {
  operator: `${ROOT}cmd/operator/main.ts`,
  scheduler: `${ROOT}cmd/scheduler/main.ts`,
  sidecar: `${ROOT}cmd/sidecar/main.ts`,
  simulator: `${ROOT}cmd/simulator/main.ts`,
  cli: `${ROOT}cmd/llmisvc/main.ts`,
};

/** Told how a start goes on. */
export interface StartProgress {
  running(name: string, state: string): void;
  done(name: string, outcome: string): void;
}

/** What a playground starts with. */
export interface PlaygroundOptions {
  /** Folder of the cluster's state; undefined: in memory. */
  readonly dataDir: string | undefined;
  /** Where the kubeconfig is written. */
  readonly kubeconfig: string;
  /** Port of the API server; 0: a free one. */
  readonly port: number;
  /** Port of the gateway; 0: a free one. */
  readonly gatewayPort: number;
  readonly logger: Logger;
  readonly progress: StartProgress;
  /** What it runs on; default the embedded control plane. */
  readonly controlPlane?: (options: EmbeddedOptions) => Promise<ControlPlane>;
}

/** A running playground. */
export interface Playground {
  readonly client: KubeClient;
  /** URL of the API server. */
  readonly url: string;
  readonly gatewayPort: number;
  readonly kubeconfigPath: string;
  /** Ends everything in reverse order; no process is left. */
  close(): Promise<void>;
}

/**
 * Starts API server, gateway, controllers, pod runner and the operator in a pod. Rejects with the cause, with everything that
 * was started ended again.
 */
export async function startPlayground(options: PlaygroundOptions): Promise<Playground> {
  const closers: (() => Promise<unknown> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return { ...(await startParts(options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Closers = { push(closer: () => Promise<unknown> | void): unknown };

async function startParts(options: PlaygroundOptions, closers: Closers): Promise<Omit<Playground, "close">> {
  const { progress, logger } = options;
  const kubeconfigPath = resolve(options.kubeconfig);
  const { client, plane } = await startControlPlane(options, kubeconfigPath, closers);
  const gateway = await createGateway({ client, port: options.gatewayPort, logger });
  closers.push(() => gateway.close());
  await applyAll(client, defaultClusterObjects({ gatewayPort: gateway.port }));
  progress.done("cluster", `API server ${plane.url}, gateway http://127.0.0.1:${gateway.port}`);
  const controllers = await plane.startControllers(client);
  closers.push(() => controllers.close());
  const runner = await startRunner(options, client, plane);
  closers.push(() => runner.close());
  await plane.servePodLogs(client, runner.logs);
  await applyAll(client, operatorObjects());
  await operatorReady(client, progress);
  return { client, url: plane.url, gatewayPort: gateway.port, kubeconfigPath };
}

async function startControlPlane(options: PlaygroundOptions, kubeconfigPath: string, closers: Closers) {
  const plane = await (options.controlPlane ?? embeddedControlPlane)(options);
  closers.push(() => plane.close());
  mkdirSync(dirname(kubeconfigPath), { recursive: true });
  writeFileSync(kubeconfigPath, plane.kubeconfig, { mode: 0o600 });
  const client = createKubeClient(await loadKubeConfig({ text: plane.kubeconfig }));
  closers.push(() => client.close());
  await plane.define(client);
  return { client, plane };
}

/** Pods have a kubeconfig of their own: the user's file may be overwritten by another playground of the same checkout. */
async function startRunner(options: PlaygroundOptions, client: KubeClient, plane: ControlPlane) {
  const folder = mkdtempSync(join(tmpdir(), `llmisvc-pods-${randomUUID().slice(0, 8)}-`));
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, plane.kubeconfig, { mode: 0o600 });
  const runner = await createPodRunner({
    client,
    access: { kubeconfig },
    folder,
    logger: options.logger,
    entries: PROGRAMS,
    environment: { NODE_COMPILE_CACHE: `${ROOT}node_modules/.cache/llmisvc` },
    ...(plane.network === undefined ? {} : { network: plane.network }),
    ...(options.dataDir === undefined ? {} : { claims: resolve(options.dataDir, "claims") }),
  });
  return {
    logs: runner.logs,
    close: async () => {
      await runner.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function applyAll(client: KubeClient, objects: readonly KubeObject[]): Promise<void> {
  for (const object of objects) {
    await client.apply(object, { fieldManager: FIELD_MANAGER, force: true });
    const status = recordAt(object, "status");
    if (status !== undefined) await applyStatus(client, object, status);
  }
}

async function applyStatus(client: KubeClient, object: KubeObject, status: Readonly<Record<string, unknown>>) {
  const { namespace, name } = object.metadata;
  const patch = { type: "merge", body: { status } } as const;
  await client.patch(resourceOf(object), { namespace, name }, patch, {
    fieldManager: FIELD_MANAGER,
    subresource: "status",
  });
}

/** The operator is there when its pod is ready and the API server knows its webhooks and presets. */
async function operatorReady(client: KubeClient, progress: StartProgress): Promise<void> {
  const key = { namespace: SYSTEM_NAMESPACE, name: OPERATOR_DEPLOYMENT };
  progress.running("operator", "starting");
  await until(
    `Deployment ${OPERATOR_DEPLOYMENT} available`,
    async () => {
      const deployment = await client.get(KINDS.Deployment, key);
      const current = numberAt(deployment, "status", "observedGeneration") === deployment.metadata.generation;
      return current && (numberAt(deployment, "status", "readyReplicas") ?? 0) > 0;
    },
    OPERATOR_PATIENCE,
  );
  await until(
    "the operator's webhooks and presets",
    async () => {
      const webhooks = await client.find(KINDS.ValidatingWebhookConfiguration, {
        name: "llminferenceserviceconfig.serving.kserve.io",
      });
      const definition = await client.get(KINDS.CustomResourceDefinition, {
        name: "llminferenceserviceconfigs.serving.kserve.io",
      });
      return webhooks !== undefined && field(definition, "spec", "conversion", "webhook") !== undefined;
    },
    OPERATOR_PATIENCE,
  );
  await until("an answer of the operator's webhooks", () => webhooksAnswer(client), OPERATOR_PATIENCE);
  progress.done("operator", `Deployment ${SYSTEM_NAMESPACE}/${OPERATOR_DEPLOYMENT}`);
}

/**
 * State kept from an earlier run says ready before this run's pod is: only an answer counts, which shows by the defaulted
 * name, since webhooks that do not answer are passed over. Nothing is written.
 */
async function webhooksAnswer(client: KubeClient): Promise<boolean> {
  const { apiVersion, kind } = KINDS.LLMInferenceService;
  const metadata = { name: "playground-probe", namespace: SYSTEM_NAMESPACE };
  try {
    const probe = { apiVersion, kind, metadata, spec: { model: { uri: "hf://a/b" } } };
    const answered = await client.create(probe, { dryRun: true });
    return textAt(answered, "spec", "model", "name") === metadata.name;
  } catch (error) {
    if (error instanceof KubeError && error.code === 500) return false;
    throw error;
  }
}

/** Pods of a service by their component label, ready ones and all, for progress lines. */
export async function readyPods(client: KubeClient, namespace: string, labelSelector: string): Promise<string> {
  const { items } = await client.list(KINDS.Pod, { namespace, labelSelector });
  const ready = items.filter((pod) =>
    recordsAt(pod, "status", "conditions").some(
      (condition) => condition["type"] === "Ready" && condition["status"] === "True",
    ),
  );
  return `${ready.length}/${items.length}`;
}
