import { type Resource, gvkText } from "../../kube/resources.ts";
import { type KubeObject, type ObjectKey, keyOf } from "../../kube/types.ts";
import { matchesLabels, type StringMap } from "../labels.ts";
import type { ClusterView } from "../llminferenceservice/pass.ts";

/** A cluster that consists of given objects and in which nothing runs. */
export class ObjectView implements ClusterView {
  readonly #objects = new Map<string, KubeObject>();
  readonly #absent: ReadonlySet<Resource>;

  /** `absent` are the kinds that it does not serve. */
  constructor(objects: readonly KubeObject[] = [], absent: readonly Resource[] = []) {
    this.#absent = new Set(absent);
    for (const object of objects) this.put(object);
  }

  put(object: KubeObject): void {
    this.#objects.set(`${gvkText(object)} ${keyOf(object.metadata)}`, object);
  }

  remove(resource: Resource, key: ObjectKey): void {
    this.#objects.delete(`${gvkText(resource)} ${keyOf(key)}`);
  }

  find(resource: Resource, key: ObjectKey): KubeObject | undefined {
    return this.#objects.get(`${gvkText(resource)} ${keyOf(key)}`);
  }

  list(resource: Resource, namespace: string | undefined, labels: StringMap = {}): readonly KubeObject[] {
    return [...this.#objects.values()].filter(
      (object) =>
        gvkText(object) === gvkText(resource) &&
        (namespace === undefined || object.metadata.namespace === namespace) &&
        matchesLabels(object.metadata.labels ?? {}, labels),
    );
  }

  serves(resource: Resource): boolean {
    return !this.#absent.has(resource);
  }

  get objects(): readonly KubeObject[] {
    return [...this.#objects.values()];
  }
}
