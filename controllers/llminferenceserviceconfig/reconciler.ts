import { at, sameJson } from "../../crds/json.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { FIELD_MANAGER } from "../../kube/apply.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { ReconcileResult } from "../../kube/controller.ts";
import type { EventRecorder } from "../../kube/events.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, type ObjectKey, isNotFound } from "../../kube/types.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { asJson } from "../llminferenceservice/pass.ts";
import { configStatus } from "./status.ts";
import type { ConfigUsage } from "./usage.ts";

/** Keeps a config until no service is built on it (KServe's own). */
export const CONFIG_FINALIZER = "serving.kserve.io/llmisvcconfig-finalizer";

const WRITER = { fieldManager: FIELD_MANAGER };

/** Everything a reconciler of configs works with. */
export interface ConfigReconcilerOptions {
  readonly client: KubeClient;
  readonly cluster: Cluster;
  readonly usage: ConfigUsage;
  /** Whether a config is one of the operator's presets, which the webhook protects and everybody uses. */
  readonly isPreset: (key: ObjectKey) => boolean;
  readonly events: EventRecorder;
  /** Wall clock in ms. */
  readonly wallMs: () => number;
}

/** Tells in each LLMInferenceServiceConfig which services are built on it, and keeps it while there are any. */
export class ConfigReconciler {
  readonly #options: ConfigReconcilerOptions;

  constructor(options: ConfigReconcilerOptions) {
    this.#options = options;
  }

  /** One pass over the config of that key. What it throws is worth another try. */
  async reconcile(key: ObjectKey): Promise<ReconcileResult> {
    const { cluster, usage, isPreset } = this.#options;
    const config = cluster.find(KINDS.LLMInferenceServiceConfig, key);
    if (config === undefined) return {};
    const users = isPreset(key) ? [] : usage.usersOf(key);
    const leaves = config.metadata.deletionTimestamp !== undefined;
    if (leaves && users.length === 0) {
      await this.#writeFinalizers(config, (finalizers) => finalizers.filter((name) => name !== CONFIG_FINALIZER));
      return {};
    }
    if (leaves) this.#tellBlocked(config, users);
    const kept = leaves
      ? config
      : await this.#writeFinalizers(config, (finalizers) => [...new Set([...finalizers, CONFIG_FINALIZER])]);
    await this.#writeStatus(kept, configStatus(kept, users, this.#options.wallMs()));
    return {};
  }

  #tellBlocked(config: KubeObject, users: readonly string[]): void {
    const named = users.slice(0, 5).join(", ");
    const message = `stays until no LLMInferenceService is built on it: ${named}${users.length > 5 ? ", …" : ""}`;
    this.#options.events.record(config, "Warning", "DeletionBlocked", message);
  }

  async #writeFinalizers(
    config: KubeObject,
    change: (now: readonly string[]) => readonly string[],
  ): Promise<KubeObject> {
    const { namespace, name, resourceVersion, finalizers: now = [] } = config.metadata;
    const finalizers = change(now);
    if (sameJson([...now], [...finalizers])) return config;
    const patch = { type: "merge", body: { metadata: { finalizers, resourceVersion } } } as const;
    const { client, cluster } = this.#options;
    const write = () => client.patch(KINDS.LLMInferenceServiceConfig, { namespace, name }, patch, WRITER);
    try {
      return finalizers.length > 0 ? await cluster.write(config, write) : await write();
    } catch (error) {
      if (isNotFound(error)) return config;
      throw error;
    }
  }

  async #writeStatus(config: KubeObject, status: JsonObject): Promise<void> {
    if (sameJson(at(asJson(config), "status") ?? {}, status)) return;
    const { client, cluster } = this.#options;
    await cluster.write(config, () => client.updateStatus({ ...config, status }, WRITER));
  }
}
