import type { Json, JsonObject, JsonSchema } from "./types.ts";

/** A strategic merge patch that cannot be applied. */
export class StrategicMergeError extends Error {
  /** Where in the patch: `spec.containers[1]`. Empty for the whole. */
  readonly path: string;

  constructor(path: string, message: string) {
    super(path === "" ? message : `${path}: ${message}`);
    this.path = path;
  }
}

const PATCH = "$patch";
const RETAIN_KEYS = "$retainKeys";
const DELETE_FROM_LIST = "$deleteFromPrimitiveList/";
const SET_ORDER = "$setElementOrder/";
const MAX_DEPTH = 200;

/** Where the merge stands: a chain of keys, which becomes a path only where an error has to name it. */
interface Place {
  readonly parent: Place | undefined;
  readonly key: string | number;
  readonly depth: number;
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isList = (value: Json | undefined): value is Json[] => Array.isArray(value);

function pathOf({ parent, key }: Place): string {
  if (parent === undefined) return "";
  const before = pathOf(parent);
  return typeof key === "number" ? `${before}[${key}]` : before === "" ? key : `${before}.${key}`;
}

function below(place: Place, key: string | number): Place {
  if (place.depth >= MAX_DEPTH) throw new StrategicMergeError(pathOf(place), `nested deeper than ${MAX_DEPTH} levels`);
  return { parent: place, key, depth: place.depth + 1 };
}

function propertySchema(schema: JsonSchema | undefined, key: string): JsonSchema | undefined {
  const known = schema?.properties;
  if (known !== undefined && Object.hasOwn(known, key)) return known[key];
  return typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
}

const mergesList = (schema: JsonSchema | undefined): boolean =>
  (schema?.["x-kubernetes-patch-strategy"] ?? "").split(",").includes("merge");

/** Raw extensions (any content, no schema) and fields with the `replace` strategy are taken as a whole. */
function isAtomic(schema: JsonSchema | undefined): boolean {
  if ((schema?.["x-kubernetes-patch-strategy"] ?? "").split(",").includes("replace")) return true;
  return schema?.["x-kubernetes-preserve-unknown-fields"] === true && schema.properties === undefined;
}

/** A scalar's identity; objects are compared by their text. A text is its own, whose hash is known already. */
const identity = (value: Json): string => (typeof value === "string" ? value : `\0${JSON.stringify(value)}`);

function keyOf(element: Json, mergeKey: string, place: Place): string {
  const key = isObject(element) ? element[mergeKey] : undefined;
  if (key === undefined || key === null)
    throw new StrategicMergeError(pathOf(place), `list element lacks its merge key "${mergeKey}"`);
  return identity(key);
}

function setField(target: JsonObject, key: string, value: Json): void {
  if (key === "__proto__")
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

/** An element of a list with what it is known by. */
interface Entry {
  readonly key: string;
  readonly item: Json;
}

/** The two-pointer order of Kubernetes: given elements in their order, the others before what they precede in `base`. */
function interleave(given: readonly Entry[], others: readonly Entry[], base: readonly string[]): readonly Entry[] {
  if (others.length === 0) return given;
  const position = new Map(base.map((key, index) => [key, index] as const));
  const result: Entry[] = [];
  let next = 0;
  for (const entry of given) {
    const limit = position.get(entry.key) ?? -1;
    for (
      let other = others[next];
      other !== undefined && (position.get(other.key) ?? limit) < limit;
      other = others[next]
    ) {
      result.push(other);
      next++;
    }
    result.push(entry);
  }
  return [...result, ...others.slice(next)];
}

/** Puts entries into the order that `order` asks for; what it does not name keeps its place relative to `base`. */
function inOrder(entries: readonly Entry[], order: readonly string[], base: readonly string[]): Json[] {
  const rank = new Map(order.map((key, index) => [key, index] as const));
  const named = entries.filter(({ key }) => rank.has(key));
  named.sort((a, b) => (rank.get(a.key) ?? 0) - (rank.get(b.key) ?? 0));
  const others = named.length === entries.length ? [] : entries.filter(({ key }) => !rank.has(key));
  return interleave(named, others, base).map(({ item }) => item);
}

function mergeScalarList(original: readonly Json[], patch: readonly Json[]): Json[] {
  const seen = new Map([...original, ...patch].map((item) => [identity(item), item] as const));
  const entries = Array.from(seen, ([key, item]) => ({ key, item }));
  return inOrder(entries, patch.map(identity), original.map(identity));
}

const directiveOf = (item: Json): Json | undefined => (isObject(item) ? item[PATCH] : undefined);

function mergeKeyedList(
  original: readonly Json[],
  patch: readonly Json[],
  mergeKey: string,
  schema: JsonSchema | undefined,
  place: Place,
): Json[] {
  const replaces = patch.some((item) => directiveOf(item) === "replace");
  const base = (replaces ? [] : original).map((item) => ({ key: keyOf(item, mergeKey, place), item }));
  const merged = new Map(base.map((entry) => [entry.key, entry] as const));
  const order: string[] = [];
  for (const [index, item] of patch.entries()) {
    const directive = directiveOf(item);
    if (directive === "replace") continue;
    const at = below(place, index);
    const key = keyOf(item, mergeKey, at);
    if (directive === "delete") merged.delete(key);
    else {
      merged.set(key, { key, item: mergeValue(merged.get(key)?.item, item, schema?.items, at) });
      order.push(key);
    }
  }
  return inOrder(
    [...merged.values()],
    order,
    base.map(({ key }) => key),
  );
}

function mergeList(
  original: readonly Json[],
  patch: readonly Json[],
  schema: JsonSchema | undefined,
  place: Place,
): Json[] {
  if (!mergesList(schema))
    return patch.map((item, index) => mergeValue(undefined, item, schema?.items, below(place, index)));
  const mergeKey = schema?.["x-kubernetes-patch-merge-key"];
  const holdsObjects = [...original, ...patch].some(isObject);
  if (!holdsObjects) return mergeScalarList(original, patch);
  if (mergeKey === undefined)
    throw new StrategicMergeError(pathOf(place), "cannot merge lists of objects without a merge key");
  return mergeKeyedList(original, patch, mergeKey, schema, place);
}

/** `$setElementOrder/x`: a list of scalars, or of objects that hold only the merge key. */
function reorder(
  list: readonly Json[],
  order: Json,
  base: Json | undefined,
  schema: JsonSchema | undefined,
  place: Place,
): Json[] {
  if (!isList(order)) throw new StrategicMergeError(pathOf(place), `${SET_ORDER} must be a list`);
  if (!mergesList(schema)) throw new StrategicMergeError(pathOf(place), `${SET_ORDER} on a list that does not merge`);
  const mergeKey = schema?.["x-kubernetes-patch-merge-key"];
  const id = (item: Json): string =>
    mergeKey !== undefined && isObject(item) ? keyOf(item, mergeKey, place) : identity(item);
  const entries = list.map((item) => ({ key: id(item), item }));
  return inOrder(entries, order.map(id), isList(base) ? base.map(id) : []);
}

function retainKeys(target: JsonObject, patch: JsonObject, place: Place): void {
  const keys = patch[RETAIN_KEYS];
  if (keys === undefined) return;
  if (!isList(keys)) throw new StrategicMergeError(pathOf(place), `${RETAIN_KEYS} must be a list of field names`);
  const extra = Object.keys(patch).find((key) => !key.startsWith("$") && patch[key] !== null && !keys.includes(key));
  if (extra !== undefined)
    throw new StrategicMergeError(pathOf(place), `${RETAIN_KEYS} must name every patched field, "${extra}" is missing`);
  for (const key of Object.keys(target)) if (!keys.includes(key)) delete target[key];
}

function deleteFromLists(target: JsonObject, patch: JsonObject, place: Place): void {
  for (const [key, values] of Object.entries(patch)) {
    if (!key.startsWith(DELETE_FROM_LIST)) continue;
    if (!isList(values)) throw new StrategicMergeError(pathOf(place), `${key} must be a list`);
    const name = key.slice(DELETE_FROM_LIST.length);
    const list = target[name];
    const gone = new Set(values.map(identity));
    if (isList(list))
      setField(
        target,
        name,
        list.filter((item) => !gone.has(identity(item))),
      );
  }
}

function applyOrders(
  target: JsonObject,
  original: JsonObject,
  patch: JsonObject,
  schema: JsonSchema | undefined,
  place: Place,
): void {
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(SET_ORDER)) continue;
    const name = key.slice(SET_ORDER.length);
    const list = target[name];
    if (!isList(list)) continue;
    setField(target, name, reorder(list, order, original[name], propertySchema(schema, name), below(place, name)));
  }
}

function mergeObject(
  original: JsonObject,
  patch: JsonObject,
  schema: JsonSchema | undefined,
  place: Place,
): JsonObject {
  const directive = patch[PATCH];
  if (directive !== undefined && directive !== "merge" && directive !== "replace" && directive !== "delete")
    throw new StrategicMergeError(
      pathOf(place),
      `unknown ${PATCH} directive ${JSON.stringify(directive)}; use merge, replace or delete`,
    );
  if (directive === "delete") return {};
  const base = directive === "replace" ? {} : original;
  const target: JsonObject = { ...base };
  const directed = Object.keys(patch).some((key) => key.startsWith("$"));
  if (directed) {
    retainKeys(target, patch, place);
    deleteFromLists(target, patch, place);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key === PATCH || key === RETAIN_KEYS || key.startsWith(DELETE_FROM_LIST) || key.startsWith(SET_ORDER)) continue;
    const removed = value === null || (isObject(value) && value[PATCH] === "delete");
    if (removed) delete target[key];
    else {
      const current = Object.hasOwn(target, key) ? target[key] : undefined;
      setField(target, key, mergeValue(current, value, propertySchema(schema, key), below(place, key)));
    }
  }
  if (directed) applyOrders(target, base, patch, schema, place);
  return target;
}

function mergeValue(original: Json | undefined, patch: Json, schema: JsonSchema | undefined, place: Place): Json {
  if (isObject(patch))
    return isAtomic(schema) ? patch : mergeObject(isObject(original) ? original : {}, patch, schema, place);
  return isList(patch) ? mergeList(isList(original) ? original : [], patch, schema, place) : patch;
}

/**
 * Applies a Kubernetes strategic merge patch. Objects merge by key (null deletes), lists whose schema says
 * `x-kubernetes-patch-strategy: merge` merge by their `x-kubernetes-patch-merge-key` (scalars: as a set) in the order of
 * Kubernetes' patch library, all others are replaced. Knows `$patch: merge|replace|delete`, `$retainKeys`,
 * `$setElementOrder/…` and `$deleteFromPrimitiveList/…`. Neither input is changed; the result may share parts of both.
 * Without a schema lists are replaced. Errors: `StrategicMergeError`.
 */
export function strategicMerge(original: Json | undefined, patch: Json, schema: JsonSchema | undefined): Json {
  return mergeValue(original, patch, schema, { parent: undefined, key: "", depth: 0 });
}
