import { isObject, listAt, textAt } from "../../crds/json.ts";
import { asJson } from "../../controllers/llminferenceservice/pass.ts";
import type { KubeObject } from "../../kube/types.ts";

/** A config of a cluster, and the services that are made of it. */
export interface PresetUsers {
  readonly namespace: string;
  readonly name: string;
  /** Whether it is in the cluster; services may be made of one that has been deleted since. */
  readonly exists: boolean;
  /** `namespace/name`, sorted. */
  readonly services: readonly string[];
}

interface Applied {
  readonly namespace: string;
  readonly name: string;
  readonly source: string;
}

function appliedOf(service: KubeObject): readonly Applied[] {
  return listAt(asJson(service), "status", "appliedConfigs")
    .filter(isObject)
    .map((entry) => ({
      namespace: textAt(entry, "namespace") ?? "",
      name: textAt(entry, "name") ?? "",
      source: textAt(entry, "source") ?? "",
    }));
}

const byPlace = (a: PresetUsers, b: PresetUsers): number =>
  a.namespace === b.namespace ? (a.name < b.name ? -1 : 1) : a.namespace < b.namespace ? -1 : 1;

/**
 * The configs of the operator's namespace, and those of other namespaces that stand in for one, each with the services whose
 * status says that they are made of it.
 */
export function presetUsers(
  configs: readonly KubeObject[],
  services: readonly KubeObject[],
  systemNamespace: string,
): readonly PresetUsers[] {
  const users = new Map<string, string[]>();
  const keyOf = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`;
  for (const { metadata } of configs)
    if (metadata.namespace === systemNamespace)
      users.set(keyOf({ namespace: systemNamespace, name: metadata.name }), []);
  const existing = new Set(configs.map(({ metadata: { namespace = "", name } }) => keyOf({ namespace, name })));
  for (const service of services)
    for (const applied of appliedOf(service)) {
      if (applied.source !== "Preset" && applied.namespace !== systemNamespace) continue;
      const key = keyOf(applied);
      users.set(key, [...(users.get(key) ?? []), `${service.metadata.namespace}/${service.metadata.name}`]);
    }
  return [...users]
    .map(([key, found]) => {
      const [namespace = "", name = ""] = key.split("/");
      return { namespace, name, exists: existing.has(key), services: [...new Set(found)].sort() };
    })
    .sort(byPlace);
}
