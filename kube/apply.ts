import type { ApplyOptions, KubeClient } from "./client.ts";
import type { KubeObject } from "./types.ts";

/** The field manager of everything the operator writes. */
export const FIELD_MANAGER = "llmisvc";

type Tree = Readonly<Record<string, unknown>>;

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Server-side apply that writes nothing when the live object (as last seen, `managedFields` included) already holds every
 * desired field and our manager owns none besides. Returns the object as it is then, and whether it was written.
 * Errors: those of `KubeClient.apply`.
 */
export async function applyIfChanged(
  client: KubeClient,
  live: KubeObject | undefined,
  desired: KubeObject,
  options: ApplyOptions,
): Promise<{ readonly object: KubeObject; readonly written: boolean }> {
  if (live !== undefined && !needsApply(live, desired, options)) return { object: live, written: false };
  return { object: await client.apply(desired, options), written: true };
}

/** Whether an apply of `desired` would change the live object or what the manager owns of it. */
export function needsApply(
  live: KubeObject,
  desired: KubeObject,
  options: { readonly fieldManager: string; readonly subresource?: string | undefined },
): boolean {
  const owned = ownedFields(live, options);
  return owned === undefined || !holds(live, desired, owned) || !covers(desired, owned);
}

/** The field set (FieldsV1) that the manager owns by apply; undefined where it never applied. */
function ownedFields(
  live: KubeObject,
  { fieldManager, subresource }: { readonly fieldManager: string; readonly subresource?: string | undefined },
): Tree | undefined {
  return live.metadata.managedFields?.find(
    (entry) =>
      entry.manager === fieldManager &&
      entry.operation === "Apply" &&
      (entry.subresource ?? "") === (subresource ?? ""),
  )?.fieldsV1;
}

/** Whether `live` has all that `desired` states; defaults that the server added beside it do not count. */
function holds(live: unknown, desired: unknown, owned: Tree): boolean {
  if (desired === undefined) return true;
  if (Array.isArray(desired)) return Array.isArray(live) && listHolds(live, desired, owned);
  if (!isTree(desired)) return live === desired;
  if (!isTree(live)) return false;
  return Object.entries(desired).every(([key, value]) => holds(live[key], value, child(owned, `f:${key}`)));
}

/** Lists whose items are owned by key are compared by key, in any order; all others as a whole. */
function listHolds(live: readonly unknown[], desired: readonly unknown[], owned: Tree): boolean {
  const keyed = Object.keys(owned).filter((name) => name.startsWith("k:"));
  if (keyed.length > 0) {
    const keys = keyed.map((name) => ({ name, key: parseKey(name) }));
    return desired.every((item) => {
      const entry = keys.find(({ key }) => matches(item, key));
      const found = entry && live.find((candidate) => matches(candidate, entry.key));
      return entry !== undefined && holds(found, item, child(owned, entry.name));
    });
  }
  if (Object.keys(owned).some((name) => name.startsWith("v:"))) return desired.every((item) => live.includes(item));
  return live.length === desired.length && desired.every((item, index) => holds(live[index], item, {}));
}

/** Whether every field of the set is stated by `desired`: what is owned and no longer stated has to go. */
function covers(desired: unknown, owned: Tree): boolean {
  return Object.entries(owned).every(([name, inner]) => {
    if (name === ".") return true;
    const found = fieldOf(desired, name);
    return found !== undefined && (!isTree(inner) || covers(found, inner));
  });
}

function fieldOf(value: unknown, name: string): unknown {
  const text = name.slice(2);
  if (name.startsWith("f:")) return isTree(value) ? value[text] : undefined;
  if (!Array.isArray(value)) return undefined;
  if (name.startsWith("v:")) return value.find((item) => JSON.stringify(item) === text);
  const key = parseKey(name);
  return value.find((item) => matches(item, key));
}

const parseKey = (name: string): Tree => {
  const key: unknown = JSON.parse(name.slice(2));
  return isTree(key) ? key : {};
};

/** A key field that the item leaves out is one that the server defaulted, such as a port's protocol. */
const matches = (item: unknown, key: Tree): boolean =>
  isTree(item) && Object.entries(key).every(([name, value]) => (item[name] ?? KEY_DEFAULTS[name] ?? "") === value);

const KEY_DEFAULTS: Tree = { protocol: "TCP" };

function child(owned: Tree, name: string): Tree {
  const inner = owned[name];
  return isTree(inner) ? inner : {};
}
