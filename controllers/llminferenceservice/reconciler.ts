import type { JsonObject } from "../../crds/schema/types.ts";
import { FIELD_MANAGER } from "../../kube/apply.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { ReconcileResult } from "../../kube/controller.ts";
import type { EventRecorder } from "../../kube/events.ts";
import { KINDS, describeObject } from "../../kube/resources.ts";
import { KubeError, type KubeObject, type ObjectKey, keyOf } from "../../kube/types.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { type Dependencies, recordingView } from "../cluster/dependencies.ts";
import { whenKnown } from "../cluster/references.ts";
import type { PresetOptions } from "../composition/types.ts";
import { childNames } from "../names.ts";
import { isLasting } from "../status/refusals.ts";
import { type ChildWrite, deleteObject, writeChildren } from "./child-writes.ts";
import { objectAt, sameJson } from "../../crds/json.ts";
import type { CertificateBundle, CertificateRequest, ClusterView, OperatorSettings } from "./pass.ts";
import { asJson } from "./pass.ts";
import { routesToMember } from "../router/group.ts";
import { compositionOf } from "./composition-of.ts";
import { finalizingStatus } from "./conclusion.ts";
import { type Plan, plan } from "./plan.ts";
import { clusterBindings } from "./sweep.ts";

/** Keeps a service until its cluster-scoped children are gone (KServe's own, so that a switch leaves nothing behind). */
export const FINALIZER = "serving.kserve.io/llmisvc-finalizer";

/** After a refusal that only a change cures, which need not be of an object that is watched: a quota, a policy, a webhook. */
const REFUSED_RETRY_MS = 30_000;

/** How long a deleted member of a routing group waits between looks at the others' routes, and at most in all. */
const GROUP_WAIT_MS = 5_000;
const LONGEST_GROUP_WAIT_MS = 600_000;

const isSecret = ({ object }: ChildWrite): boolean => object.startsWith(`${KINDS.Secret.kind} `);

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
    const { refused, errors, done } = await writeChildren(this.#options, wanted);
    this.#tell(service, done);
    const { status, events } = await whenKnown(() => wanted.conclude(refused));
    await this.#writeStatus(service, status);
    for (const { type, reason, message } of events) this.#options.events.record(service, type, reason, message);
    const passing = errors.find((error) => !(error instanceof KubeError && isLasting(error)));
    if (passing !== undefined) throw passing;
    if (errors.length > 0) return { requeueAfterMs: REFUSED_RETRY_MS };
    return { requeueAfterMs: wanted.tellsAuthority && done.some(isSecret) ? 0 : wanted.lookAgainMs };
  }

  /** One Event for all that a pass did of one sort. */
  #tell(service: KubeObject, done: readonly ChildWrite[]): void {
    for (const verb of ["Created", "Updated", "Deleted"] as const) {
      const objects = done.filter((write) => write.verb === verb).map(({ object }) => object);
      if (objects.length === 0) continue;
      this.#options.events.record(service, "Normal", verb, `${verb} ${objects.join(", ")}`);
      this.#options.logger.info(verb.toLowerCase(), { service: describeObject(service), objects });
    }
  }

  #plan(service: KubeObject, cluster: ClusterView): Plan {
    const { settings, presets, wallMs, issueCertificate } = this.#options;
    const { systemNamespace } = settings;
    const { global, composition } = compositionOf(service, cluster, { systemNamespace, presets });
    return plan({ service, composition, global, settings, cluster, nowMs: wallMs(), issueCertificate });
  }

  async #writeStatus(service: KubeObject, status: JsonObject): Promise<void> {
    const current = objectAt(asJson(service), "status") ?? {};
    if (sameJson(current, status)) return;
    const { client, cluster } = this.#options;
    await cluster.write(service, () => client.updateStatus({ ...service, status }, { fieldManager: FIELD_MANAGER }));
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
    for (const reference of clusterBindings({ cluster, namespace, name, names }))
      await deleteObject(this.#options, reference);
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
    const { client, cluster } = this.#options;
    const write = () => client.patch(KINDS.LLMInferenceService, key, { type: "merge", body }, options);
    return finalizers.length > 0 ? await cluster.write(service, write) : await write();
  }
}
