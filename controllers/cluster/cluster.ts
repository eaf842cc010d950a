import { type IndexFunction, ObjectCache } from "../../kube/cache.ts";
import type { KubeClient } from "../../kube/client.ts";
import { type ObjectChange, type Reflector, type ReflectorMetrics, startReflector } from "../../kube/reflector.ts";
import { KINDS, type Resource, groupOf, gvkText, resourceOf } from "../../kube/resources.ts";
import { type GroupVersionKind, type KubeObject, type ObjectKey, keyOf, parseKey } from "../../kube/types.ts";
import { type Logger, describeError } from "../../telemetry/log.ts";
import { NAME_LABEL, type StringMap, matchesLabels } from "../labels.ts";
import type { ClusterView } from "../llminferenceservice/pass.ts";
import { modelKeys } from "../router/model-collisions.ts";
import type { PodWarning } from "../status/pod-causes.ts";
import { PodWarnings } from "./pod-warnings.ts";
import { References } from "./references.ts";
import { GATEWAY_SERVICE_LABELS, type Watch, isOptional, operatorWatches } from "./watches.ts";

/** Told of every change of every mirrored kind; `isEcho` where it only shows what the operator itself has written. */
export type ClusterListener = (resource: Resource, change: ObjectChange, isEcho: boolean) => void;

/** How long a write of our own may outrun the watch that reports it. */
const WATCH_LAG_MS = 5_000;
/** How often an absent kind is looked for although no definition came. */
const ABSENT_RETRY_MS = 600_000;
/** A definition is served a moment after it is stored. */
const ESTABLISH_MS = [0, 500, 2_000, 10_000];

/** The cluster as local caches show it, kept up to date by watches. */
export interface Cluster extends ClusterView {
  /**
   * Runs a write of the object and shows what it answers until the watch has caught up. What the watch tells of the object
   * meanwhile is passed on when the write has ended: only then its echo is known. Errors: those of the write.
   */
  write(object: KubeObject, write: () => Promise<KubeObject>): Promise<KubeObject>;
  /** Shows an object as gone, until the watch has caught up. */
  forget(resource: Resource, key: ObjectKey): void;
  /** Resolves when every cache holds a complete list. */
  whenSynced(): Promise<void>;
  /** Adds a listener, which is told of the present services first. The returned function removes it. */
  subscribe(listener: ClusterListener): () => void;
  /** Tells when the API server begins or ceases to serve a kind, and when Warning Events of a pod are known. */
  onDiscovery(listener: (resource: Resource) => void): () => void;
  close(): Promise<void>;
}

/** Parts of a cluster mirror. */
export interface ClusterOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly systemNamespace: string;
  readonly metrics?: ReflectorMetrics | undefined;
}

/**
 * Mirrors what the operator reads. Kinds of other projects may be absent: they count as empty, and are found when their
 * definitions come. Objects of others of which only the name is watched are fetched when they are looked up, which
 * `NotYetKnown` tells.
 */
export function mirrorCluster(options: ClusterOptions): Cluster {
  return new MirroredCluster(options);
}

interface Mirror {
  readonly watch: Watch;
  readonly reflector: Reflector;
}

const INDEXED_LABELS: readonly string[] = [NAME_LABEL, ...GATEWAY_SERVICE_LABELS];
const BY_NAMESPACE = "namespace";
const BY_LABEL = "label";
const BY_MODEL = "model";

const byNamespace: IndexFunction = ({ metadata }) => [metadata.namespace ?? ""];

/** Values of a labelled object: within its namespace, and over all. */
const byLabels: IndexFunction = ({ metadata: { labels = {}, namespace = "" } }) =>
  INDEXED_LABELS.flatMap((label) => {
    const value = labels[label];
    return value === undefined ? [] : [`${label}=${value}`, `${namespace}/${label}=${value}`];
  });

/** Stands for an object that was deleted. */
interface Gone {
  readonly gone: { readonly uid: string | undefined };
}

const isGone = (state: KubeObject | Gone): state is Gone => !("metadata" in state);

/** Whether a version is at least another: servers count upwards. */
const isAtLeast = (version: string | undefined, other: string | undefined): boolean =>
  version === other || Number(version) >= Number(other);

const writtenKey = (gvk: GroupVersionKind, key: ObjectKey): string => `${gvkText(gvk)} ${keyOf(key)}`;

/** Kinds whose objects are so many and so large that their caches are compressed. */
const PACKED: ReadonlySet<Resource> = new Set<Resource>([
  KINDS.LLMInferenceService,
  KINDS.Deployment,
  KINDS.LeaderWorkerSet,
  KINDS.HTTPRoute,
  KINDS.InferencePool,
  KINDS.InferencePoolV1Alpha2,
  KINDS.Service,
  KINDS.Secret,
  KINDS.ServiceAccount,
  KINDS.Role,
  KINDS.RoleBinding,
  KINDS.ClusterRoleBinding,
  KINDS.Pod,
]);

class MirroredCluster implements Cluster {
  readonly #mirrors = new Map<Resource, Mirror[]>();
  readonly #definitions: Reflector;
  readonly #references: References;
  readonly #warnings: PodWarnings;
  readonly #written = new Map<string, KubeObject | Gone>();
  /** Versions that our own writes made, of the last seconds. */
  readonly #ownVersions = new Map<string, string>();
  /** Objects that are being written: by how many, and what waits for their end. */
  readonly #writing = new Map<string, { writers: number; readonly waiting: (() => void)[] }>();
  readonly #discovery = new Set<(resource: Resource) => void>();
  readonly #listeners = new Set<ClusterListener>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #logger: Logger;

  constructor({ client, logger, systemNamespace, metrics }: ClusterOptions) {
    this.#logger = logger;
    this.#references = new References(client);
    const common = { client, logger, metrics };
    for (const watch of operatorWatches(systemNamespace)) this.#mirror(watch, common);
    const resource = KINDS.CustomResourceDefinition;
    this.#definitions = startReflector({ ...common, resource, selection: { metadataOnly: true } });
    this.#definitions.subscribe((change) => this.#defined(change));
    this.#warnings = new PodWarnings({
      client,
      logger,
      current: ({ metadata }) => this.find(KINDS.Pod, metadata),
      onChange: (object) => {
        for (const listener of this.#listeners) listener(KINDS.Pod, { type: "added", object }, false);
      },
    });
  }

  async whenSynced(): Promise<void> {
    await Promise.all([this.#definitions, ...this.#reflectors()].map((reflector) => reflector.whenSynced()));
  }

  subscribe(listener: ClusterListener): () => void {
    this.#listeners.add(listener);
    const resource = KINDS.LLMInferenceService;
    for (const { reflector } of this.#of(resource))
      for (const object of reflector.cache.list()) listener(resource, { type: "added", object }, false);
    return () => void this.#listeners.delete(listener);
  }

  onDiscovery(listener: (resource: Resource) => void): () => void {
    this.#discovery.add(listener);
    return () => void this.#discovery.delete(listener);
  }

  find(resource: Resource, key: ObjectKey): KubeObject | undefined {
    const written = this.#written.get(writtenKey(resource, key));
    if (written !== undefined) return isGone(written) ? undefined : written;
    const mirrors = this.#of(resource);
    for (const { watch, reflector } of mirrors) {
      const found = watch.keeps === "objects" ? reflector.cache.get(key) : undefined;
      if (found !== undefined) return found;
    }
    for (const { watch, reflector } of mirrors) {
      const named = watch.keeps === "names" ? reflector.cache.get(key) : undefined;
      if (named !== undefined) return this.#references.get(resource, key, named.metadata.resourceVersion ?? "");
    }
    return undefined;
  }

  list(resource: Resource, namespace: string | undefined, labels: StringMap = {}): readonly KubeObject[] {
    const found = new Map<string, KubeObject>();
    for (const { watch, reflector } of this.#of(resource)) {
      if (watch.keeps === "names") continue;
      for (const object of candidates(reflector.cache, namespace, labels)) found.set(keyOf(object.metadata), object);
    }
    return [...found.values()]
      .filter((object) => matchesLabels(object.metadata.labels, labels))
      .flatMap((object) => this.#latest(resource, object) ?? [])
      .sort((a, b) => (keyOf(a.metadata) < keyOf(b.metadata) ? -1 : 1));
  }

  serves(resource: Resource): boolean {
    return this.#of(resource).every(({ reflector }) => reflector.isServed !== false);
  }

  serving(namespace: string, model: string): readonly string[] {
    const [mirror] = this.#of(KINDS.LLMInferenceService);
    const keys = mirror?.reflector.cache.keysByIndex(BY_MODEL, `${namespace}/${model}`) ?? [];
    return keys.map((key) => parseKey(key).name);
  }

  podWarnings(pod: KubeObject): readonly PodWarning[] {
    return this.#warnings.of(pod);
  }

  async write(object: KubeObject, write: () => Promise<KubeObject>): Promise<KubeObject> {
    const key = writtenKey(object, object.metadata);
    const writing = this.#writing.get(key) ?? { writers: 0, waiting: [] };
    this.#writing.set(key, writing);
    writing.writers++;
    try {
      const written = await write();
      this.#remember(written);
      return written;
    } finally {
      writing.writers--;
      if (writing.writers === 0) {
        this.#writing.delete(key);
        for (const tell of writing.waiting) tell();
      }
    }
  }

  #remember(object: KubeObject): void {
    const resource = resourceOf(object);
    const { resourceVersion = "" } = object.metadata;
    this.#noteVersion(writtenKey(object, object.metadata), resourceVersion);
    const overtaken = this.#of(resource).some(({ watch, reflector }) => {
      const cached = watch.keeps === "objects" ? reflector.cache.get(object.metadata) : undefined;
      return cached !== undefined && isAtLeast(cached.metadata.resourceVersion, resourceVersion);
    });
    if (!overtaken) this.#show(writtenKey(object, object.metadata), object);
  }

  forget(resource: Resource, key: ObjectKey): void {
    const { uid } = this.find(resource, key)?.metadata ?? {};
    this.#show(writtenKey(resource, key), { gone: { uid } });
  }

  async close(): Promise<void> {
    this.#warnings.close();
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([this.#definitions, ...this.#reflectors()].map((reflector) => reflector.close()));
  }

  #mirror(watch: Watch, common: Pick<ClusterOptions, "client" | "logger" | "metrics">): void {
    const { resource, selection, transform, keeps } = watch;
    const packed = keeps === "objects" && PACKED.has(resource);
    const reflector = startReflector({
      ...common,
      resource,
      selection,
      cache: new ObjectCache({ [BY_NAMESPACE]: byNamespace, [BY_LABEL]: byLabels, [BY_MODEL]: modelKeys }, { packed }),
      optional: isOptional(resource),
      absentRetryMs: ABSENT_RETRY_MS,
      onServed: () => this.#discovery.forEach((listener) => listener(resource)),
      ...(transform === undefined ? {} : { transform }),
    });
    reflector.subscribe((change) => {
      const tell = (): void => {
        const isEcho = this.#isEcho(watch, change);
        for (const listener of this.#listeners) this.#tell(listener, resource, change, isEcho);
      };
      const writing = this.#writing.get(writtenKey(resource, change.object.metadata));
      if (writing === undefined) tell();
      else writing.waiting.push(tell);
    });
    const mirrors = this.#mirrors.get(resource);
    if (mirrors === undefined) this.#mirrors.set(resource, [{ watch, reflector }]);
    else mirrors.push({ watch, reflector });
  }

  #reflectors(): readonly Reflector[] {
    return [...this.#mirrors.values()].flat().map(({ reflector }) => reflector);
  }

  #of(resource: Resource): readonly Mirror[] {
    const mirrors = this.#mirrors.get(resource);
    if (mirrors === undefined) throw new Error(`${gvkText(resource)} is not mirrored`);
    return mirrors;
  }

  /** A definition came or changed: whoever waits for its kind looks again. */
  #defined({ object }: ObjectChange): void {
    const waiting = [...this.#mirrors].filter(
      ([resource]) => `${resource.plural}.${groupOf(resource.apiVersion)}` === object.metadata.name,
    );
    for (const [, mirrors] of waiting)
      for (const { reflector } of mirrors)
        for (const delayMs of ESTABLISH_MS) this.#later(delayMs, () => reflector.retry());
  }

  #later(delayMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs).unref();
    this.#timers.add(timer);
  }

  /** What is known of a cached object after our own writes; undefined where it is gone. */
  #latest(resource: Resource, object: KubeObject): KubeObject | undefined {
    const written = this.#written.get(writtenKey(resource, object.metadata));
    if (written === undefined) return object;
    return isGone(written) ? undefined : written;
  }

  /** What one listener throws costs the others nothing. */
  #tell(listener: ClusterListener, resource: Resource, change: ObjectChange, isEcho: boolean): void {
    try {
      listener(resource, change, isEcho);
    } catch (error) {
      this.#logger.error("listener of the cluster failed", { kind: resource.kind, error: describeError(error) });
    }
  }

  #noteVersion(key: string, version: string): void {
    this.#ownVersions.set(key, version);
    this.#later(WATCH_LAG_MS, () => {
      if (this.#ownVersions.get(key) === version) this.#ownVersions.delete(key);
    });
  }

  #show(key: string, state: KubeObject | Gone): void {
    this.#written.set(key, state);
    this.#later(WATCH_LAG_MS, () => {
      if (this.#written.get(key) === state) this.#written.delete(key);
    });
  }

  /**
   * Whether the change only tells what a write of our own is known to have done. What was written is shown until the mirror
   * of whole objects shows it; the mirror of names may be earlier.
   */
  #isEcho({ resource, keeps }: Watch, { type, object }: ObjectChange): boolean {
    const key = writtenKey(resource, object.metadata);
    const { resourceVersion } = object.metadata;
    const written = this.#written.get(key);
    if (written !== undefined && keeps === "objects" && isShown(written, type, object)) this.#written.delete(key);
    return type !== "deleted" && resourceVersion !== undefined && this.#ownVersions.get(key) === resourceVersion;
  }
}

/** Whether a change of the cache has caught up with a write. */
function isShown(written: KubeObject | Gone, type: ObjectChange["type"], { metadata }: KubeObject): boolean {
  if (type === "deleted") return true;
  if (isGone(written)) return metadata.uid !== written.gone.uid;
  return isAtLeast(metadata.resourceVersion, written.metadata.resourceVersion);
}

function candidates(cache: ObjectCache, namespace: string | undefined, labels: StringMap): readonly KubeObject[] {
  const label = INDEXED_LABELS.find((name) => labels[name] !== undefined);
  if (label === undefined) return namespace === undefined ? cache.list() : cache.byIndex(BY_NAMESPACE, namespace);
  const value = `${label}=${labels[label]}`;
  return cache.byIndex(BY_LABEL, namespace === undefined ? value : `${namespace}/${value}`);
}
