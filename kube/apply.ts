import type { ApplyOptions, KubeClient } from "./client.ts";
import { parseQuantity } from "./quantity.ts";
import type { KubeObject } from "./types.ts";

/** The field manager of everything the operator writes. */
export const FIELD_MANAGER = "llmisvc";

type Tree = Readonly<Record<string, unknown>>;

/** Who applies, and to which part of the object. */
export interface ApplyScope {
  readonly fieldManager: string;
  /** `status`, or absent for the main resource. */
  readonly subresource?: string | undefined;
}

/**
 * Server-side apply that writes nothing when the live object (as last seen, with the `managedFields` of this manager)
 * already is what the apply would make of it. Returns the object as it is then, and whether it was written.
 * Errors: those of `KubeClient.apply`.
 */
export async function applyIfChanged(
  client: Pick<KubeClient, "apply">,
  live: KubeObject | undefined,
  desired: KubeObject,
  options: ApplyOptions,
): Promise<{ readonly object: KubeObject; readonly written: boolean }> {
  if (live !== undefined && !needsApply(live, desired, options)) return { object: live, written: false };
  return { object: await client.apply(desired, options), written: true };
}

/**
 * Whether an apply of `desired` would change the live object or the set of fields that the manager owns: it would not when
 * the manager owns exactly the stated fields (FieldsV1 of its own entry) and all their values are live. Values that the
 * server defaults beside them do not count, nor do the spellings of quantities (`1000m` is `1`).
 */
export function needsApply(live: KubeObject, desired: KubeObject, scope: ApplyScope): boolean {
  const owned = ownedFields(live, desired.apiVersion, scope);
  return owned === undefined || !isSettled(statedFields(desired, scope.subresource), live, owned, false);
}

/** The field set that the manager owns by apply; undefined where it never applied, or last did in another version. */
function ownedFields(live: KubeObject, apiVersion: string, scope: ApplyScope): Tree | undefined {
  return live.metadata.managedFields?.find(
    (entry) =>
      entry.manager === scope.fieldManager &&
      entry.operation === "Apply" &&
      (entry.subresource ?? "") === (scope.subresource ?? "") &&
      entry.apiVersion === apiVersion,
  )?.fieldsV1;
}

/** Metadata that the server sets or that names the object: never owned by anyone. */
const UNOWNED_METADATA: ReadonlySet<string> = new Set([
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "managedFields",
]);

/** What of the desired object can be owned: the status through its sub-resource alone, all else only beside it. */
function statedFields(desired: KubeObject, subresource: string | undefined): Tree {
  const { apiVersion: _, kind: __, metadata, status, ...rest } = desired;
  if (subresource === "status") return { status };
  const owned = Object.entries(metadata).filter(([name]) => !UNOWNED_METADATA.has(name));
  return { ...rest, ...(owned.length === 0 ? {} : { metadata: Object.fromEntries(owned) }) };
}

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

const isStated = (value: unknown): boolean => value !== undefined && value !== null;

/** Empty maps and lists may be left out of what the server stores. */
const isEmpty = (value: unknown): boolean =>
  (Array.isArray(value) && value.length === 0) || (isTree(value) && !Object.values(value).some(isStated));

/** Fields below which values are quantities. */
const QUANTITY_FIELDS: ReadonlySet<string> = new Set([
  "limits",
  "requests",
  "capacity",
  "hard",
  "sizeLimit",
  "divisor",
  "averageValue",
]);

/** A set without members below it stands for a scalar, or for a list or map that is owned as a whole. */
const isLeaf = (owned: Tree): boolean => Object.keys(owned).every((name) => name === ".");

function isSettled(desired: unknown, live: unknown, owned: Tree, quantity: boolean): boolean {
  if (!isStated(live) && isEmpty(desired)) return true;
  if (isLeaf(owned)) return contains(live, desired, quantity);
  if (Array.isArray(desired)) return Array.isArray(live) && isListSettled(desired, live, owned, quantity);
  return isTree(desired) && isTree(live) && isMapSettled(desired, live, owned, quantity);
}

function isMapSettled(desired: Tree, live: Tree, owned: Tree, quantity: boolean): boolean {
  const fields = ownedNames(owned, "f:");
  const stated = Object.entries(desired).filter(([, value]) => isStated(value));
  return (
    fields.every((field) => isStated(desired[field])) &&
    stated.every(([field, value]) => {
      const set = owned[`f:${field}`];
      if (!isTree(set)) return isEmpty(value);
      return isSettled(value, live[field], set, quantity || QUANTITY_FIELDS.has(field));
    })
  );
}

function isListSettled(desired: readonly unknown[], live: readonly unknown[], owned: Tree, quantity: boolean): boolean {
  const values = ownedNames(owned, "v:");
  if (values.length > 0) return isSetSettled(desired, live, values);
  const free = ownedNames(owned, "k:").map((text) => ({ set: owned[`k:${text}`], key: parseTree(text) }));
  if (free.length !== desired.length) return false;
  let position = -1;
  return desired.every((item) => {
    const index = free.findIndex(({ key }) => hasKey(item, key));
    const [entry] = index < 0 ? [] : free.splice(index, 1);
    if (entry === undefined || !isTree(entry.set)) return false;
    // The order of one manager's items is part of what it states: init containers run in it.
    const at = live.findIndex((candidate) => hasKey(candidate, entry.key));
    const ordered = at > position;
    position = at;
    return ordered && isSettled(item, live[at], entry.set, quantity);
  });
}

function isSetSettled(desired: readonly unknown[], live: readonly unknown[], values: readonly string[]): boolean {
  return (
    new Set(desired).size === values.length &&
    desired.every((item) => values.includes(JSON.stringify(item)) && live.includes(item))
  );
}

/** Whether `live` has all that an atomic or scalar value states; the server may have put defaults beside it. */
function contains(live: unknown, desired: unknown, quantity: boolean): boolean {
  if (!isStated(live)) return !isStated(desired) || isEmpty(desired);
  if (Array.isArray(desired))
    return (
      Array.isArray(live) &&
      live.length === desired.length &&
      desired.every((item, index) => contains(live[index], item, quantity))
    );
  if (!isTree(desired)) return live === desired || (quantity && isSameQuantity(live, desired));
  return (
    isTree(live) &&
    Object.entries(desired).every(
      ([field, value]) => !isStated(value) || contains(live[field], value, quantity || QUANTITY_FIELDS.has(field)),
    )
  );
}

function isSameQuantity(left: unknown, right: unknown): boolean {
  const value = parseQuantity(String(left));
  return value !== undefined && value === parseQuantity(String(right));
}

function ownedNames(owned: Tree, prefix: "f:" | "k:" | "v:"): string[] {
  return Object.keys(owned)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

function parseTree(text: string): Tree {
  const value: unknown = JSON.parse(text);
  return isTree(value) ? value : {};
}

/** Key fields of built-in lists that the server defaults. */
const KEY_DEFAULTS: Tree = { protocol: "TCP" };

function hasKey(item: unknown, key: Tree): boolean {
  return isTree(item) && Object.entries(key).every(([field, value]) => (item[field] ?? KEY_DEFAULTS[field]) === value);
}
