import { setTimeout as pause } from "node:timers/promises";
import type { JsonObject } from "../crds/schema/types.ts";
import { FIELD_MANAGER } from "../kube/apply.ts";
import { type EventRecorder, createEventRecorder } from "../kube/events.ts";
import type { KubeClient } from "../kube/client.ts";
import { fencedClient } from "../kube/fenced-client.ts";
import { type Clock, systemClock } from "../kube/clock.ts";
import { type Controller, startController } from "../kube/controller.ts";
import { type Election, startElection } from "../kube/leader-election.ts";
import { KINDS } from "../kube/resources.ts";
import { migrateStorage } from "../kube/storage-migration.ts";
import type { ObjectKey } from "../kube/types.ts";
import { type Logger, describeError } from "../telemetry/log.ts";
import { type Cluster, mirrorCluster } from "./cluster/cluster.ts";
import { Dependencies, servedToken } from "./cluster/dependencies.ts";
import {
  GLOBAL_CONFIG_NAME,
  type GlobalConfig,
  defaultGlobalConfig,
  parseGlobalConfig,
} from "./composition/global-config.ts";
import { type PresetSet, choosePresetSet, isPresetName } from "./composition/preset-set.ts";
import { wellKnownConfigs } from "./composition/presets.ts";
import type { PresetOptions } from "./composition/types.ts";
import type { OperatorMetrics } from "./operator-metrics.ts";
import { install } from "./install.ts";
import { ConfigReconciler } from "./llminferenceserviceconfig/reconciler.ts";
import { ConfigUsage } from "./llminferenceserviceconfig/usage.ts";
import { stringMapOf } from "./json-edit.ts";
import { type OperatorSettings, asJson } from "./llminferenceservice/pass.ts";
import { ServiceReconciler } from "./llminferenceservice/reconciler.ts";
import { affectedServices } from "./llminferenceservice/triggers.ts";
import { ensureCertificate } from "./webhooks/certificate.ts";
import type { ReviewContext } from "./webhooks/review.ts";
import { type WebhookServer, startWebhookServer } from "./webhooks/server.ts";
import { createIssuer } from "./workload/tls.ts";

/** Component that Events name. */
const COMPONENT = "LLMInferenceServiceController";
const LEASE = "llminferenceservice-kserve-controller-manager";
const WORKERS = 8;
const INSTALL_RETRY_MS = 1_000;
const PRESET_SUFFIXES = wellKnownConfigs({ prefix: "" }).map(({ metadata }) => metadata.name);
const OWN_KINDS = [KINDS.LLMInferenceService, KINDS.LLMInferenceServiceConfig] as const;
const DISCOVERY_RETRY_MS = 200;
const MIGRATION_RETRY_MS = 30_000;
const CERTIFICATE_CHECK_MS = 3_600_000;
/** At the end, time for passes under way before their writes are cut off, and for Events. */
const LAST_PASSES_MS = 6_000;
const LAST_EVENTS_MS = 2_000;

/** Parts and settings of an operator. */
export interface OperatorOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings;
  readonly presets: PresetOptions;
  /** Images in place of the presets' own, by repository name. */
  readonly images: Readonly<Record<string, string>>;
  readonly protectPresets: boolean;
  readonly webhook: { readonly host: string; readonly port: number };
  /** Identity in leader election; undefined: no election. */
  readonly identity: string | undefined;
  readonly logger: Logger;
  readonly metrics?: OperatorMetrics;
  readonly wallMs?: () => number;
  /** Time of the election and of repetitions of reconciles; default is the machine's. */
  readonly clock?: Clock;
}

/** A running operator. */
export interface Operator {
  /** Whether the webhooks answer and the caches are complete. */
  readonly ready: boolean;
  /** Whether it has nothing to do: no object waits, not even for a repetition, or is being worked on. */
  readonly idle: boolean;
  /** Port of the webhooks. */
  readonly webhookPort: number;
  close(): Promise<void>;
}

/** Starts webhooks, caches and, once it leads, the reconciler. Errors: those of the first contact with the API server. */
export async function startOperator(options: OperatorOptions): Promise<Operator> {
  const operator = new RunningOperator(options);
  await operator.start();
  return operator;
}

class RunningOperator implements Operator {
  readonly #options: OperatorOptions;
  readonly #cluster: Cluster;
  readonly #stop = new AbortController();
  /** Ends all writes of controllers. */
  readonly #cut = new AbortController();
  readonly #wallMs: () => number;
  readonly #presetNames: ReadonlySet<string>;
  readonly #usage: ConfigUsage;
  #webhooks: WebhookServer | undefined;
  #controllers: readonly Controller[] = [];
  #election: Election | undefined;
  #unsubscribe: readonly (() => void)[] = [];
  #events: EventRecorder | undefined;
  #timers: NodeJS.Timeout[] = [];
  #ready = false;
  #presetSet: PresetSet | undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
    this.#wallMs = options.wallMs ?? Date.now;
    const { client, logger, settings, metrics } = options;
    const { systemNamespace } = settings;
    this.#cluster = mirrorCluster({ client, logger, systemNamespace, metrics: metrics?.watches });
    this.#presetNames = new Set(PRESET_SUFFIXES.map((suffix) => `${options.presets.prefix}${suffix}`));
    this.#usage = new ConfigUsage({
      systemNamespace,
      presetNames: this.#presetNames,
      exists: (key) => this.#cluster.find(KINDS.LLMInferenceServiceConfig, key) !== undefined,
    });
    this.#cluster.subscribe((resource, change) => {
      if (resource === KINDS.LLMInferenceService) {
        metrics?.services.update(change);
        this.#followUse(this.#usage.update(change));
      }
      if (resource === KINDS.LLMInferenceServiceConfig) this.#followUse([change.object.metadata]);
    });
  }

  #followUse: (configs: readonly ObjectKey[]) => void = () => {};

  get ready(): boolean {
    return this.#ready;
  }

  get idle(): boolean {
    return this.#controllers.every((controller) => controller.idle);
  }

  get webhookPort(): number {
    return this.#webhooks?.port ?? 0;
  }

  async start(): Promise<void> {
    const { client, settings, webhook, logger, metrics } = this.#options;
    const pair = await ensureCertificate(client, settings.systemNamespace, this.#wallMs());
    const context = this.#reviewContext();
    this.#webhooks = await startWebhookServer({ ...webhook, pair, logger, context, metrics: metrics?.webhooks });
    await this.#cluster.whenSynced();
    this.#presetSet = this.#choosePresets();
    await this.#tryInstall(pair.authority);
    await this.#whenDiscovered();
    this.#ready = true;
    this.#timers.push(setInterval(() => void this.#renew(), CERTIFICATE_CHECK_MS).unref());
    this.#lead();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#closeWithin();
    await Promise.race([this.#events?.flush(), pause(LAST_EVENTS_MS, undefined, { ref: false })]);
    await this.#election?.close();
    await this.#webhooks?.close();
    await this.#cluster.close();
  }

  /** Lets passes under way end, but not for longer than it takes until somebody ends this process by force. */
  async #closeWithin(): Promise<void> {
    const cut = (): void => this.#cut.abort(new Error("the operator ends"));
    const cancel = (this.#options.clock ?? systemClock).after(LAST_PASSES_MS, cut);
    await this.#closeControllers();
    cancel();
  }

  async #closeControllers(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await Promise.all(this.#controllers.map((controller) => controller.close()));
  }

  #isPreset(name: string): boolean {
    return isPresetName(name, PRESET_SUFFIXES, this.#options.presets.prefix);
  }

  #reviewContext(): ReviewContext {
    const { settings, protectPresets } = this.#options;
    return {
      systemNamespace: settings.systemNamespace,
      protectPresets,
      isPreset: (name: string) => this.#isPreset(name),
      usersOf: (namespace, name) => this.#usage.usersOf({ namespace, name }),
      localModels: (namespace) => (this.#global().localModelEnabled ? this.#localModels(namespace) : []),
      global: () => this.#global(),
    };
  }

  #global(): GlobalConfig {
    const { systemNamespace } = this.#options.settings;
    const key = { namespace: systemNamespace, name: GLOBAL_CONFIG_NAME };
    const data = asJson(this.#cluster.find(KINDS.ConfigMap, key))?.["data"];
    const parsed = parseGlobalConfig(data === undefined ? undefined : stringMapOf(data), systemNamespace);
    return parsed.kind === "parsed" ? parsed.config : defaultGlobalConfig(systemNamespace);
  }

  #localModels(namespace: string): readonly JsonObject[] {
    const own = this.#cluster.list(KINDS.LocalModelNamespaceCache, namespace);
    return [...own, ...this.#cluster.list(KINDS.LocalModelCache, undefined)].map((cache) => asJson(cache) ?? {});
  }

  #choosePresets(): PresetSet {
    const { settings, presets, images } = this.#options;
    const { systemNamespace: namespace } = settings;
    return choosePresetSet(
      (prefix) => wellKnownConfigs({ prefix, namespace, images }),
      (name) => this.#cluster.find(KINDS.LLMInferenceServiceConfig, { namespace, name }),
      presets.prefix,
    );
  }

  /** Installs at once, or again later: the webhooks that it passes through may be our own, which answer when we are ready. */
  async #tryInstall(authority: string): Promise<void> {
    const { client, settings, logger } = this.#options;
    const { systemNamespace } = settings;
    const { prefix, presets } = (this.#presetSet ??= this.#choosePresets());
    try {
      await install(client, { systemNamespace, authority, presets });
      logger.info("installed presets and webhooks", { presets: presets.length, prefix });
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      logger.warn("installing presets and webhooks failed; trying again", { error: describeError(error) });
      this.#timers.push(setTimeout(() => void this.#tryInstall(authority), INSTALL_RETRY_MS).unref());
    }
  }

  /** Clients find our kinds by discovery, which tells of a new definition some seconds after it is served. */
  async #whenDiscovered(): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#stop;
    for (const resource of OWN_KINDS)
      while (!(await client.serves(resource, { signal }))) await pause(DISCOVERY_RETRY_MS, undefined, { signal });
  }

  async #renew(): Promise<void> {
    const { client, settings, logger } = this.#options;
    try {
      const pair = await ensureCertificate(client, settings.systemNamespace, this.#wallMs());
      this.#webhooks?.setCertificate(pair);
      await this.#tryInstall(pair.authority);
    } catch (error) {
      logger.warn("checking the webhook certificate failed", { error: describeError(error) });
    }
  }

  #lead(): void {
    const { client, identity, settings, logger, clock, metrics } = this.#options;
    if (identity === undefined) return this.#reconcile(this.#cut.signal);
    const lease = { namespace: settings.systemNamespace, name: LEASE };
    this.#election = startElection(client, {
      lease,
      identity,
      logger,
      clock,
      metrics: metrics?.election,
      onLead: (signal) => {
        this.#reconcile(AbortSignal.any([signal, this.#cut.signal]));
        signal.addEventListener("abort", () => void this.#closeControllers(), { once: true });
      },
    });
  }

  /** Starts the controllers, which write until `signal` aborts or the lead is overdue. */
  #reconcile(signal: AbortSignal): void {
    const { settings, presets, logger, metrics, clock } = this.#options;
    const holds = (): boolean => this.#election?.leading !== false;
    const client = fencedClient(this.#options.client, { signal, holds });
    const dependencies = new Dependencies();
    const events = createEventRecorder(this.#options.client, {
      component: COMPONENT,
      logger,
      metrics: metrics?.events,
    });
    this.#events = events;
    const reconciler = new ServiceReconciler({
      client,
      cluster: this.#cluster,
      dependencies,
      settings,
      presets: { ...presets, prefix: this.#presetSet?.prefix ?? presets.prefix },
      events,
      logger,
      wallMs: this.#wallMs,
      issueCertificate: createIssuer(this.#wallMs),
    });
    const controller = startController({
      name: "llminferenceservice",
      reconcile: (key) => reconciler.reconcile(key),
      workers: WORKERS,
      logger,
      ...(metrics === undefined ? {} : { metrics: metrics.controllers }),
      ...(clock === undefined ? {} : { clock }),
    });
    this.#controllers = [controller, this.#reconcileConfigs(client, events)];
    void this.#migrate(client, signal);
    this.#unsubscribe = [
      this.#cluster.subscribe((resource, change, isEcho) => {
        if (isEcho) return;
        const { own, dependents } = affectedServices(dependencies, resource, change);
        if (own !== undefined) controller.enqueue(own, change.type === "updated");
        for (const key of dependents) controller.enqueue(key);
      }),
      this.#cluster.onDiscovery((resource) => {
        for (const key of dependencies.of([servedToken(resource)])) controller.enqueue(key);
      }),
    ];
  }

  /** Tells in configs who uses them, beginning with all that are there. */
  #reconcileConfigs(client: KubeClient, events: EventRecorder): Controller {
    const { settings, logger, metrics, clock } = this.#options;
    const cluster = this.#cluster;
    const isPreset = ({ namespace, name }: ObjectKey): boolean =>
      namespace === settings.systemNamespace && this.#isPreset(name);
    const options = { client, cluster, usage: this.#usage, isPreset, events, wallMs: this.#wallMs };
    const reconciler = new ConfigReconciler(options);
    const controller = startController({
      name: "llminferenceserviceconfig",
      reconcile: (key) => reconciler.reconcile(key),
      logger,
      ...(metrics === undefined ? {} : { metrics: metrics.controllers }),
      ...(clock === undefined ? {} : { clock }),
    });
    this.#followUse = (configs) => configs.forEach((key) => controller.enqueue(key));
    this.#followUse(cluster.list(KINDS.LLMInferenceServiceConfig, undefined).map(({ metadata }) => metadata));
    return controller;
  }

  /** Has objects of former versions stored in the present one; tried again later where it fails. */
  async #migrate(client: KubeClient, lead: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    const signal = AbortSignal.any([lead, this.#stop.signal]);
    for (const resource of OWN_KINDS)
      try {
        const { rewritten, dropped } = await migrateStorage(client, resource, { fieldManager: FIELD_MANAGER, signal });
        if (dropped.length > 0) logger.info("migrated storage", { kind: resource.kind, rewritten, from: [...dropped] });
      } catch (error) {
        if (signal.aborted) return;
        logger.warn("migrating storage failed; trying again", { kind: resource.kind, error: describeError(error) });
        this.#timers.push(setTimeout(() => void this.#migrate(client, lead), MIGRATION_RETRY_MS).unref());
        return;
      }
  }
}
