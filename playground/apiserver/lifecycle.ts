import type { Json, JsonObject } from "../../crds/schema/types.ts";
import type { Logger } from "../../telemetry/log.ts";
import {
  ensureMeta,
  finalizersOf,
  listOf,
  metaOf,
  nameOf,
  namespaceOf,
  objectOf,
  textOf,
  timestamp,
} from "./objects.ts";
import type { Resources } from "./resources.ts";
import type { Change } from "./store.ts";

const DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions";
const NAMESPACES = "/namespaces";
const EVENTS = "/events";
const CLEANUP = "customresourcecleanup.apiextensions.k8s.io";
/** Events kept; the oldest go first. */
const MAX_EVENTS = 5_000;

/**
 * What the server does on its own: serves custom kinds while their definition exists, empties namespaces and kinds that are
 * being deleted, and forgets old events.
 */
export class Lifecycle {
  readonly #resources: Resources;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #unsubscribe: () => void;
  #sweeping = false;
  #again = false;
  #closed = false;

  constructor(resources: Resources, logger: Logger, now: () => number) {
    this.#resources = resources;
    this.#logger = logger;
    this.#now = now;
    for (const { object } of resources.store.list(DEFINITIONS)) resources.kinds.define(object);
    this.#unsubscribe = resources.store.subscribe((change) => this.#follow(change));
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.#unsubscribe();
  }

  #follow(change: Change): void {
    if (change.resource === DEFINITIONS) {
      if (change.type === "DELETED") this.#resources.kinds.undefine(change.key);
      else this.#resources.kinds.define(change.object);
    }
    if (change.resource === DEFINITIONS || change.resource === NAMESPACES || change.type === "DELETED")
      this.#schedule();
    if (change.resource === EVENTS && change.type === "ADDED") this.#forgetEvents();
  }

  #forgetEvents(): void {
    const events = this.#resources.store.list(EVENTS);
    for (const { key } of events.slice(0, Math.max(0, events.length - MAX_EVENTS)))
      this.#resources.store.remove(EVENTS, key);
  }

  /** Runs the sweep after the present change is told to everyone; changes meanwhile make it run once more. */
  #schedule(): void {
    this.#again = true;
    if (this.#sweeping) return;
    this.#sweeping = true;
    queueMicrotask(() => void this.#sweepAll());
  }

  async #sweepAll(): Promise<void> {
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        await this.#sweep();
      }
    } catch (error) {
      this.#logger.error("clean-up failed; the next delete tries again", { error });
    } finally {
      this.#sweeping = false;
    }
  }

  async #sweep(): Promise<void> {
    const { store } = this.#resources;
    for (const { object } of store.list(DEFINITIONS)) {
      if (metaOf(object)["deletionTimestamp"] === undefined) this.#establish(object);
      else await this.#removeDefinition(object);
    }
    for (const { object } of store.list(NAMESPACES)) {
      if (metaOf(object)["deletionTimestamp"] !== undefined) await this.#emptyNamespace(object);
    }
  }

  /** Tells in the definition's status that the kind is served. */
  #establish(stored: JsonObject): void {
    const conditions = listOf(objectOf(stored["status"])["conditions"]).map(objectOf);
    const spec = objectOf(stored["spec"]);
    const storage = textOf(
      objectOf(listOf(spec["versions"]).find((item) => objectOf(item)["storage"] === true))["name"],
    );
    const storedVersions = listOf(objectOf(stored["status"])["storedVersions"]);
    const established = conditions.some(({ type, status }) => type === "Established" && status === "True");
    if (established && storedVersions.includes(storage) && finalizersOf(stored).includes(CLEANUP)) return;
    const object = structuredClone(stored);
    const time = timestamp(this.#now());
    const condition = (type: string, reason: string, message: string): JsonObject => ({
      type,
      status: "True",
      lastTransitionTime: time,
      reason,
      message,
    });
    object["status"] = {
      conditions: [
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
      ],
      acceptedNames: objectOf(spec["names"]),
      storedVersions: [...new Set<Json>([...storedVersions, storage])],
    };
    ensureMeta(object)["finalizers"] = [...new Set([...finalizersOf(object), CLEANUP])];
    this.#resources.store.put(DEFINITIONS, nameOf(object), object);
  }

  async #removeDefinition(definition: JsonObject): Promise<void> {
    const spec = objectOf(definition["spec"]);
    const storage = `${textOf(spec["group"])}/${textOf(objectOf(spec["names"])["plural"])}`;
    if (!(await this.#empty(storage, ""))) return;
    const { store } = this.#resources;
    const rest = finalizersOf(definition).filter((item) => item !== CLEANUP);
    if (rest.length === 0) store.remove(DEFINITIONS, nameOf(definition));
  }

  async #emptyNamespace(namespace: JsonObject): Promise<void> {
    const name = nameOf(namespace);
    const storages = new Set(this.#resources.kinds.all().flatMap((kind) => (kind.namespaced ? [kind.storage] : [])));
    let empty = true;
    for (const storage of storages) empty = (await this.#empty(storage, `${name}/`)) && empty;
    const current = this.#resources.store.get(NAMESPACES, name);
    if (!empty || current === undefined) return;
    const object = structuredClone(current);
    object["spec"] = { ...objectOf(object["spec"]), finalizers: [] };
    if (finalizersOf(object).length === 0) this.#resources.store.remove(NAMESPACES, name);
    else if (listOf(objectOf(current["spec"])["finalizers"]).length > 0)
      this.#resources.store.put(NAMESPACES, name, object);
  }

  /** Deletes what is under a prefix; true when nothing is left. */
  async #empty(storage: string, prefix: string): Promise<boolean> {
    const { store, kinds } = this.#resources;
    const [kind] = kinds.ofStorage(storage);
    for (const { object } of store.list(storage, prefix)) {
      if (kind === undefined || metaOf(object)["deletionTimestamp"] !== undefined) continue;
      const target = { kind, namespace: namespaceOf(object), name: nameOf(object), subresource: "" };
      const mode = {
        dryRun: false,
        uid: undefined,
        resourceVersion: undefined,
        gracePeriodSeconds: undefined,
        propagationPolicy: undefined,
        warnings: [],
      };
      await this.#resources.delete(target, mode).catch((error: unknown) => {
        this.#logger.warn("an object could not be deleted with its namespace or kind", {
          kind: kind.kind,
          name: target.name,
          error,
        });
      });
    }
    return store.list(storage, prefix).length === 0;
  }
}
