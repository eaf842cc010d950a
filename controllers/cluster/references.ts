import type { KubeClient } from "../../kube/client.ts";
import { type Resource, gvkText } from "../../kube/resources.ts";
import { type KubeObject, type ObjectKey, keyOf } from "../../kube/types.ts";

/** Bodies that are kept; the oldest go first. */
const KEPT = 4096;

/** Thrown by a look-up whose answer has yet to be fetched: wait for it, and look again. */
export class NotYetKnown extends Error {
  readonly ready: Promise<void>;

  constructor(what: string, ready: Promise<void>) {
    super(`${what} is being fetched`);
    this.name = "NotYetKnown";
    this.ready = ready;
  }
}

/** Runs a pure computation over the cluster again until all it looks up is known. Errors: those of fetching, and its own. */
export async function whenKnown<T>(compute: () => T): Promise<T> {
  for (;;) {
    try {
      return compute();
    } catch (error) {
      if (!(error instanceof NotYetKnown)) throw error;
      await error.ready;
    }
  }
}

/** Bodies of objects that are watched by name only, fetched when somebody looks them up, each version once. */
export class References {
  readonly #client: Pick<KubeClient, "find">;
  readonly #bodies = new Map<string, KubeObject | undefined>();
  readonly #fetching = new Map<string, Promise<void>>();

  constructor(client: Pick<KubeClient, "find">) {
    this.#client = client;
  }

  /** The object in that version or a later one; undefined where it is gone. Throws `NotYetKnown` at the first look. */
  get(resource: Resource, key: ObjectKey, resourceVersion: string): KubeObject | undefined {
    const what = `${gvkText(resource)} ${keyOf(key)}`;
    const id = `${what} ${resourceVersion}`;
    if (this.#bodies.has(id)) return this.#bodies.get(id);
    throw new NotYetKnown(what, this.#fetch(resource, key, id));
  }

  #fetch(resource: Resource, key: ObjectKey, id: string): Promise<void> {
    const running = this.#fetching.get(id);
    if (running !== undefined) return running;
    const fetching = this.#client
      .find(resource, key)
      .then((found) => this.#keep(id, found))
      .finally(() => this.#fetching.delete(id));
    this.#fetching.set(id, fetching);
    return fetching;
  }

  #keep(id: string, found: KubeObject | undefined): void {
    this.#bodies.set(id, found);
    if (this.#bodies.size > KEPT) this.#bodies.delete(this.#bodies.keys().next().value!);
  }
}
