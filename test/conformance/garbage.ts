import fc from "fast-check";
import type { HttpKubeClient } from "../../kube/http-client.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { type KubeObject, isNotFound } from "../../kube/types.ts";
import { untilStill } from "../../playground/until.ts";
import type { Difference } from "./compare.ts";

/** A custom kind that clients of ours know. */
const CUSTOM: Resource = KINDS.PodMonitor;

/** Definition of the custom kind, of anything. */
export const CUSTOM_DEFINITION: KubeObject = {
  apiVersion: KINDS.CustomResourceDefinition.apiVersion,
  kind: KINDS.CustomResourceDefinition.kind,
  metadata: { name: "podmonitors.monitoring.coreos.com" },
  spec: {
    group: "monitoring.coreos.com",
    scope: "Namespaced",
    names: { kind: CUSTOM.kind, plural: CUSTOM.plural, singular: "podmonitor", listKind: "PodMonitorList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};
const OWNERS = ["a", "b"] as const;
const HOLD = "example.com/hold";
const POLICIES = ["Foreground", "Background", "Orphan", undefined] as const;

/** An object that others own. */
interface Dependent {
  readonly kind: "ConfigMap" | "PodMonitor";
  /** Owners by name; `nobody` is one that does not exist. */
  readonly owners: readonly (readonly [name: "a" | "b" | "nobody", blocks: boolean])[];
  readonly isHeld: boolean;
  /** Whether it owns an object in its turn. */
  readonly isOwner: boolean;
}

interface Family {
  readonly dependents: readonly Dependent[];
  readonly deletions: readonly (readonly [owner: "a" | "b", policy: (typeof POLICIES)[number]])[];
}

const family: fc.Arbitrary<Family> = fc.record({
  dependents: fc.array(
    fc
      .record({
        kind: fc.constantFrom("ConfigMap" as const, "PodMonitor" as const),
        owners: fc.uniqueArray(fc.tuple(fc.constantFrom("a" as const, "b" as const, "nobody" as const), fc.boolean()), {
          minLength: 1,
          maxLength: 3,
          selector: ([name]) => name,
        }),
        isHeld: fc.nat(3).map((number) => number === 0),
        isOwner: fc.boolean(),
      })
      // Whether an owner waits for what waits itself would else be a matter of timing.
      .map((one) => (one.isOwner ? { ...one, owners: one.owners.map(([name]) => [name, true] as const) } : one)),
    { minLength: 1, maxLength: 4 },
  ),
  deletions: fc.uniqueArray(fc.tuple(fc.constantFrom(...OWNERS), fc.constantFrom(...POLICIES)), {
    maxLength: 2,
    selector: ([owner]) => owner,
  }),
});

/** Families of the suite, the same for the same seed. */
export const families = (seed: number, count: number): Family[] => fc.sample(family, { seed, numRuns: count });

const configMap = (namespace: string, name: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace, name },
});
const monitor = (namespace: string, name: string): KubeObject => ({
  apiVersion: CUSTOM.apiVersion,
  kind: CUSTOM.kind,
  metadata: { namespace, name },
  spec: { size: 1 },
});

const withOwners = (object: KubeObject, owners: readonly object[], finalizers: readonly string[]): KubeObject =>
  ({ ...object, metadata: { ...object.metadata, ownerReferences: owners, finalizers } }) as unknown as KubeObject;

const referenceTo = ({ apiVersion, kind, metadata }: KubeObject, blocks: boolean): object => ({
  apiVersion,
  kind,
  name: metadata.name,
  uid: metadata.uid,
  blockOwnerDeletion: blocks,
});

const NOBODY: KubeObject = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "nobody", uid: "00000000-0000-0000-0000-000000000000" },
};

/** Makes a family in a namespace of its own. */
async function make(client: HttpKubeClient, namespace: string, { dependents }: Family): Promise<void> {
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const owners = new Map<string, KubeObject>([["nobody", NOBODY]]);
  owners.set("a", await client.create(configMap(namespace, "a")));
  owners.set("b", await client.create(monitor(namespace, "b")));
  for (const [index, { kind, owners: names, isHeld, isOwner }] of dependents.entries()) {
    const bare = kind === "PodMonitor" ? monitor(namespace, `d${index}`) : configMap(namespace, `d${index}`);
    const references = names.map(([name, blocks]) => referenceTo(owners.get(name)!, blocks));
    const made = await client.create(withOwners(bare, references, isHeld ? [HOLD] : []));
    if (isOwner)
      await client.create(withOwners(configMap(namespace, `d${index}-child`), [referenceTo(made, true)], []));
  }
}

async function remove(client: HttpKubeClient, namespace: string, deletion: Family["deletions"][number]): Promise<void> {
  const [name, propagationPolicy] = deletion;
  const resource = name === "a" ? KINDS.ConfigMap : CUSTOM;
  await client.delete(resource, { namespace, name }, { propagationPolicy }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
}

/** What is there, as far as a collector decides on it. */
async function stateOf(client: HttpKubeClient, namespaces: readonly string[]): Promise<string> {
  const lists = await Promise.all([KINDS.ConfigMap, CUSTOM].map((resource) => client.list(resource)));
  const wanted = new Set(namespaces);
  return lists
    .flatMap(({ items }) => items)
    .filter(({ metadata }) => wanted.has(metadata.namespace ?? ""))
    .map(({ kind, metadata }) => {
      const { namespace, name, ownerReferences = [], finalizers = [], deletionTimestamp } = metadata;
      const owners = ownerReferences.map((owner) => owner.name).join(",");
      const state = deletionTimestamp === undefined ? "lives" : "is being deleted";
      return `${namespace} ${kind} ${name} of [${owners}] ${state}, held by [${finalizers.join(",")}]`;
    })
    .sort()
    .join("\n");
}

const STILL_MS = 2_000;
const LIMIT_MS = 60_000;

/** Waits until nothing changes any more on either server. */
async function settled(clients: readonly HttpKubeClient[], namespaces: readonly string[]): Promise<readonly string[]> {
  let states: readonly string[] = [];
  const read = async (): Promise<string> => {
    states = await Promise.all(clients.map((client) => stateOf(client, namespaces)));
    return states.join();
  };
  await untilStill("garbage collection at rest", STILL_MS, read, {
    timeoutMs: LIMIT_MS,
    pollMs: 200,
    detail: () => states.join("\n"),
  });
  return states;
}

/** Lets two servers collect what the same families leave, and returns what differs in the end. */
export async function compareCollection(
  real: HttpKubeClient,
  embedded: HttpKubeClient,
  all: readonly Family[],
): Promise<Difference[]> {
  const namespaces = all.map((_, index) => `gc-${index}`);
  const clients = [real, embedded];
  for (const [index, each] of all.entries())
    await Promise.all(clients.map((client) => make(client, namespaces[index]!, each)));
  // References to nobody go first, so that which write comes before which is no matter of timing.
  let [left = "", right = ""] = await settled(clients, namespaces);
  for (const turn of [0, 1]) {
    for (const [index, { deletions }] of all.entries())
      if (deletions[turn] !== undefined)
        await Promise.all(clients.map((client) => remove(client, namespaces[index]!, deletions[turn]!)));
    [left = "", right = ""] = await settled(clients, namespaces);
  }
  const of = (state: string, namespace: string): string =>
    state
      .split("\n")
      .filter((line) => line.startsWith(`${namespace} `))
      .join("; ");
  return namespaces.flatMap((namespace, index) => {
    const [one, other] = [of(left, namespace), of(right, namespace)];
    if (one === other) return [];
    return [{ label: "garbage collection", path: JSON.stringify(all[index]), real: one, embedded: other, said: "" }];
  });
}
