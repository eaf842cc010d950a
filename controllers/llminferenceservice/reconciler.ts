import type { JsonObject } from "../../crds/schema/types.ts";
import { FIELD_MANAGER, applyIfChanged } from "../../kube/apply.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { ReconcileResult } from "../../kube/controller.ts";
import type { EventRecorder } from "../../kube/events.ts";
import { KINDS, describeObject, resourceOf } from "../../kube/resources.ts";
import { KubeError, type KubeObject, type ObjectKey, isNotFound, keyOf } from "../../kube/types.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { type Dependencies, recordingView } from "../cluster/dependencies.ts";
import { whenKnown } from "../cluster/references.ts";
import { sameJson } from "../json-edit.ts";
import type { PresetOptions } from "../composition/types.ts";
import { childNames } from "../names.ts";
import { type Mark, type Marks, notReady } from "../status/conditions.ts";
import { childRefused, isLasting } from "../status/refusals.ts";
import type { Step } from "./children.ts";
import { objectAt } from "../composition/json.ts";
import type { CertificateBundle, CertificateRequest, ClusterView, OperatorSettings } from "./pass.ts";
import { asJson } from "./pass.ts";
import { routesToMember } from "../router/group.ts";
import { compositionOf } from "./composition-of.ts";
import { finalizingStatus } from "./conclusion.ts";
import { type LiveRef, type Plan, plan } from "./plan.ts";
import { clusterBindings } from "./sweep.ts";

/** Keeps a service until its cluster-scoped children are gone (KServe's own, so that a switch leaves nothing behind). */
export const FINALIZER = "serving.kserve.io/llmisvc-finalizer";

/** After a refusal that only a change cures, which need not be of an object that is watched: a quota, a policy, a webhook. */
const REFUSED_RETRY_MS = 30_000;

/** How long a deleted member of a routing group waits between looks at the others' routes, and at most in all. */
const GROUP_WAIT_MS = 5_000;
const LONGEST_GROUP_WAIT_MS = 600_000;

/** Everything a reconciler works with. */
export interface ReconcilerOptions {
  readonly client: KubeClient;
  readonly cluster: Cluster;
  readonly dependencies: Dependencies;
  readonly settings: OperatorSettings;
  readonly presets: PresetOptions;
  readonly events: EventRecorder;
  readonly logger: Logger;
  /** Wall clock in ms. */
  readonly wallMs: () => number;
  readonly issueCertificate: (request: CertificateRequest) => CertificateBundle;
}

/** Brings one LLMInferenceService after the other into the state that its manifest asks for. */
export class ServiceReconciler {
  readonly #options: ReconcilerOptions;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** One pass over the service of that key. What it throws is worth another try. */
  async reconcile(key: ObjectKey): Promise<ReconcileResult> {
    const service = this.#options.cluster.find(KINDS.LLMInferenceService, key);
    if (service === undefined) {
      this.#options.dependencies.set(keyOf(key), new Set());
      return {};
    }
    if (service.metadata.deletionTimestamp !== undefined) return await this.#finalize(service);
    return await this.#settle(await this.#withFinalizer(service));
  }

  /** A pass that notes what it looks up, so that a change of that wakes the service again. */
  async #settle(service: KubeObject): Promise<ReconcileResult> {
    const tokens = new Set<string>();
    try {
      return await this.#pass(service, recordingView(this.#options.cluster, tokens));
    } finally {
      this.#options.dependencies.set(keyOf(service.metadata), tokens);
    }
  }

  async #pass(service: KubeObject, cluster: ClusterView): Promise<ReconcileResult> {
    const wanted = await whenKnown(() => this.#plan(service, cluster));
    for (const reference of wanted.replacements) await this.#delete(reference);
    const { refused, errors } = await this.#applyAll(service, wanted);
    // What is obsolete goes only once all that takes its place is there.
    if (errors.length === 0) for (const reference of wanted.deletions) await this.#deleteChild(service, reference);
    const { status, events } = await whenKnown(() => wanted.conclude(refused));
    await this.#writeStatus(service, status);
    for (const { type, reason, message } of events) this.#options.events.record(service, type, reason, message);
    const passing = errors.find((error) => !(error instanceof KubeError && isLasting(error)));
    if (passing !== undefined) throw passing;
    return errors.length === 0 ? {} : { requeueAfterMs: REFUSED_RETRY_MS };
  }

  /** Applies all children; a refused one costs those after it in its step, and becomes a mark where its cause is known. */
  async #applyAll(service: KubeObject, { children, stepOf }: Plan): Promise<{ refused: Marks; errors: unknown[] }> {
    const refused: Record<string, Mark> = {};
    const errors: unknown[] = [];
    const failed = new Set<Step | undefined>();
    for (const object of children) {
      const step = stepOf.get(object);
      if (failed.has(step)) continue;
      try {
        await this.#apply(service, object);
      } catch (error) {
        failed.add(step);
        errors.push(error);
        if (!(error instanceof KubeError) || step === undefined) continue;
        const cause = childRefused(object.kind, error, step.reason);
        if (cause !== undefined) refused[step.condition] = notReady(cause.reason, cause.message);
      }
    }
    return { refused, errors };
  }

  #plan(service: KubeObject, cluster: ClusterView): Plan {
    const { settings, presets, wallMs, issueCertificate } = this.#options;
    const { systemNamespace } = settings;
    const { global, composition } = compositionOf(service, cluster, { systemNamespace, presets });
    return plan({ service, composition, global, settings, cluster, nowMs: wallMs(), issueCertificate });
  }

  async #apply(service: KubeObject, desired: KubeObject): Promise<void> {
    const resource = resourceOf(desired);
    const live = this.#options.cluster.find(resource, desired.metadata);
    // A new object is not forced: somebody else's of the same name that no cache shows stays as it is.
    const options = { fieldManager: FIELD_MANAGER, force: live !== undefined };
    const { object, written } = await applyIfChanged(this.#options.client, live, desired, options);
    if (!written) return;
    this.#options.cluster.remember(object);
    const verb = live === undefined ? "Created" : "Updated";
    this.#tell(service, verb, desired.kind, desired.metadata);
  }

  async #deleteChild(service: KubeObject, { resource, key }: LiveRef): Promise<void> {
    await this.#delete({ resource, key });
    this.#tell(service, "Deleted", resource.kind, key);
  }

  #tell(service: KubeObject, verb: string, kind: string, key: ObjectKey): void {
    const name = key.namespace === undefined ? key.name : `${key.namespace}/${key.name}`;
    this.#options.events.record(service, "Normal", verb, `${verb} ${kind} ${name}`);
    this.#options.logger.info(verb.toLowerCase(), { service: describeObject(service), kind, object: name });
  }

  async #delete({ resource, key }: LiveRef): Promise<void> {
    try {
      await this.#options.client.delete(resource, key, { propagationPolicy: "Background" });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    this.#options.cluster.forget(resource, key);
  }

  async #writeStatus(service: KubeObject, status: JsonObject): Promise<void> {
    const current = objectAt(asJson(service), "status") ?? {};
    if (sameJson(current, status)) return;
    const written = await this.#options.client.updateStatus({ ...service, status }, { fieldManager: FIELD_MANAGER });
    this.#options.cluster.remember(written);
  }

  async #withFinalizer(service: KubeObject): Promise<KubeObject> {
    const finalizers = service.metadata.finalizers ?? [];
    if (finalizers.includes(FINALIZER)) return service;
    return await this.#writeFinalizers(service, [...finalizers, FINALIZER]);
  }

  async #finalize(service: KubeObject): Promise<ReconcileResult> {
    const finalizers = service.metadata.finalizers ?? [];
    if (!finalizers.includes(FINALIZER)) return {};
    const { name, namespace = "" } = service.metadata;
    const names = childNames(namespace, name);
    const { cluster, wallMs } = this.#options;
    const routes = routesToMember({ cluster, namespace, name, names }, asJson(service)?.["spec"]);
    const deletedMs = Date.parse(service.metadata.deletionTimestamp ?? "");
    if (routes.length > 0 && wallMs() - deletedMs < LONGEST_GROUP_WAIT_MS) {
      await this.#writeStatus(service, finalizingStatus(objectAt(asJson(service), "status"), routes, wallMs()));
      return { requeueAfterMs: GROUP_WAIT_MS };
    }
    for (const reference of clusterBindings({ cluster, namespace, name, names })) await this.#delete(reference);
    await this.#writeFinalizers(
      service,
      finalizers.filter((finalizer) => finalizer !== FINALIZER),
    );
    return {};
  }

  async #writeFinalizers(service: KubeObject, finalizers: readonly string[]): Promise<KubeObject> {
    const { namespace, name, resourceVersion } = service.metadata;
    const body = { metadata: { finalizers, resourceVersion } };
    const options = { fieldManager: FIELD_MANAGER };
    const key = { namespace, name };
    const written = await this.#options.client.patch(KINDS.LLMInferenceService, key, { type: "merge", body }, options);
    if (finalizers.length > 0) this.#options.cluster.remember(written);
    return written;
  }
}
