import { listAt, textAt } from "../../crds/json.ts";
import type { ObjectChange } from "../../kube/reflector.ts";
import { type KubeObject, type ObjectKey, keyOf } from "../../kube/types.ts";
import { asJson } from "../llminferenceservice/pass.ts";

/** What the use of configs depends on besides the services. */
export interface UsageOptions {
  readonly systemNamespace: string;
  /** Names of presets, which services use without naming them. */
  readonly presetNames: ReadonlySet<string>;
  /** Whether a config of that name is in the namespace, where it hides one of the operator's. */
  readonly exists: (key: ObjectKey) => boolean;
}

const baseNames = (service: KubeObject): readonly string[] => [
  ...new Set(listAt(asJson(service), "spec", "baseRefs").flatMap((reference) => textAt(reference, "name") ?? [])),
];

/** Which services are built on which configs, kept up to date by the changes of services. Cost: the change's own bases. */
export class ConfigUsage {
  readonly #options: UsageOptions;
  /** Keys of services by the name of a base. */
  readonly #byBase = new Map<string, Set<string>>();
  /** Keys of services by namespace. */
  readonly #byNamespace = new Map<string, Set<string>>();

  constructor(options: UsageOptions) {
    this.#options = options;
  }

  /** Takes over a change of a service. Returns the configs that it may concern. */
  update(change: ObjectChange): readonly ObjectKey[] {
    const { object } = change;
    const { namespace = "" } = object.metadata;
    const key = keyOf(object.metadata);
    const before = change.type === "updated" ? baseNames(change.previous) : [];
    const after = baseNames(object);
    for (const name of before) remove(this.#byBase, name, key);
    if (change.type === "deleted") {
      for (const name of after) remove(this.#byBase, name, key);
      remove(this.#byNamespace, namespace, key);
    } else {
      for (const name of after) add(this.#byBase, name, key);
      add(this.#byNamespace, namespace, key);
    }
    const isNew = change.type !== "updated";
    const named = !isNew && sameNames(before, after) ? [] : [...new Set([...before, ...after])];
    const places = [namespace, this.#options.systemNamespace];
    return [
      ...named.flatMap((name) => places.map((place) => ({ namespace: place, name }))),
      ...(isNew ? this.#standIns(namespace) : []),
    ];
  }

  /** Configs of a namespace that stand in for presets. */
  #standIns(namespace: string): readonly ObjectKey[] {
    const { presetNames, exists, systemNamespace } = this.#options;
    if (namespace === systemNamespace) return [];
    return [...presetNames].map((name) => ({ namespace, name })).filter(exists);
  }

  /** Services that are built on a config, sorted; all of its namespace where it stands in for a preset. */
  usersOf({ namespace = "", name }: ObjectKey): readonly string[] {
    const { systemNamespace, presetNames, exists } = this.#options;
    const users = [...(this.#byBase.get(name) ?? [])].filter((service) => {
      const place = service.slice(0, service.indexOf("/"));
      return place === namespace || (namespace === systemNamespace && !exists({ namespace: place, name }));
    });
    const standsIn = presetNames.has(name) && namespace !== systemNamespace;
    return [...new Set([...users, ...(standsIn ? (this.#byNamespace.get(namespace) ?? []) : [])])].sort();
  }
}

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name) => b.includes(name));

function add(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

function remove(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key);
  set?.delete(value);
  if (set?.size === 0) sets.delete(key);
}
