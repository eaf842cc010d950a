import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { ApiError, badRequest, expired } from "./errors.ts";
import { isObject, metaOf, textOf } from "./objects.ts";
import type { Resources } from "./resources.ts";
import type { Target } from "./target.ts";
import { type Predicate, fieldSelector, labelSelector } from "./selectors.ts";
import type { Change, Store } from "./store.ts";

/** What a list or a watch selects. */
export interface Selection {
  readonly target: Target;
  readonly matches: Predicate;
  /** Whether selectors narrow the collection: then the count of what remains is not known. */
  readonly selective: boolean;
}

/** Reads `labelSelector` and `fieldSelector`, and the single name of a watch on one object. Errors: 400. */
export function selectionOf(target: Target, query: URLSearchParams): Selection {
  const byName = target.name === "" ? "" : `metadata.name=${target.name}`;
  const fields = [query.get("fieldSelector") ?? "", byName].filter((text) => text !== "").join(",");
  const [label, field] = [labelSelector(query.get("labelSelector") ?? ""), fieldSelector(fields, target.kind.storage)];
  const selective = fields !== "" || (query.get("labelSelector") ?? "") !== "";
  return { target, matches: (object) => label(object) && field(object), selective };
}

const prefixOf = (target: Target): string =>
  target.kind.namespaced && target.namespace !== "" ? `${target.namespace}/` : "";

interface ContinueToken {
  readonly version: number;
  readonly after: string;
}

function readToken(text: string): ContinueToken {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    if (isObject(value) && typeof value["version"] === "number" && typeof value["after"] === "string")
      return { version: value["version"], after: value["after"] };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw badRequest("continue key is not valid: start the list again without it");
}

/** A page of a list: the items in the version asked for, and the list's `metadata`. */
export interface Page {
  readonly items: JsonObject[];
  readonly metadata: JsonObject;
}

/** Lists a collection. All pages of one list show the state of the first. Errors: 400, 410 when that state is forgotten. */
export async function listPage(resources: Resources, selection: Selection, query: URLSearchParams): Promise<Page> {
  const { store, converter } = resources;
  const { kind } = selection.target;
  const token = query.get("continue") ? readToken(query.get("continue")!) : undefined;
  const version = token?.version ?? store.version;
  refuseFuture(store, query.get("resourceVersion"));
  const state =
    token === undefined
      ? store.list(kind.storage, prefixOf(selection.target))
      : store.listAt(kind.storage, prefixOf(selection.target), version);
  const rest = state
    .filter(({ key }) => token === undefined || key > token.after)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const converted = await converter.convert(
    rest.map(({ object }) => object),
    kind,
    kind.apiVersion,
  );
  const limit = Number(query.get("limit") ?? 0) || Number.POSITIVE_INFINITY;
  const items: JsonObject[] = [];
  let next = 0;
  for (; next < converted.length && items.length < limit; next++) {
    const object = converted[next]!;
    if (selection.matches(object)) items.push(object);
  }
  return {
    items,
    metadata: { resourceVersion: String(version), ...continuation(rest, next, version, selection.selective) },
  };
}

function continuation(rest: readonly { key: string }[], next: number, version: number, selective: boolean): JsonObject {
  if (next >= rest.length) return {};
  const token = JSON.stringify({ version, after: rest[next - 1]!.key });
  const remaining: JsonObject = selective ? {} : { remainingItemCount: rest.length - next };
  return { continue: Buffer.from(token).toString("base64url"), ...remaining };
}

function refuseFuture(store: Store, text: string | null): void {
  const version = Number(text ?? 0);
  if (!Number.isInteger(version)) throw badRequest(`invalid resource version ${JSON.stringify(text)}`);
  if (version > store.version)
    throw new ApiError(504, "Timeout", `Too large resource version: ${version}, current: ${store.version}`, {
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds: 1,
    });
}

/** One line of a watch; a bookmark's object carries only a version. */
export interface WatchLine {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: JsonObject;
}

/** Changes that a slow watcher may be behind; beyond, its stream ends with 410 and it lists again. */
const MAX_BEHIND = 10_000;
const BOOKMARK_MS = 30_000;

/**
 * The lines of a watch, until the signal aborts. Without a version, or with 0, it starts with the present objects.
 * Errors: 410 when the version is forgotten or the watcher falls too far behind.
 */
export async function* watchLines(
  resources: Resources,
  selection: Selection,
  query: URLSearchParams,
  signal: AbortSignal,
): AsyncGenerator<WatchLine> {
  const { store, converter } = resources;
  const { kind } = selection.target;
  const queue: (Change | "tick")[] = [];
  let wake: () => void = () => undefined;
  const push = (item: Change | "tick") => {
    queue.push(item);
    wake();
  };
  const start = Number(query.get("resourceVersion") ?? 0);
  const initial = start === 0 || query.get("sendInitialEvents") === "true";
  refuseFuture(store, query.get("resourceVersion"));
  const present = initial ? store.list(kind.storage, prefixOf(selection.target)) : [];
  const since = store.version;
  if (!initial) queue.push(...store.since(kind.storage, start));
  const wanted = (change: Change) =>
    change.resource === kind.storage && change.key.startsWith(prefixOf(selection.target));
  const unsubscribe = store.subscribe((change) => wanted(change) && push(change));
  const bookmarks = query.get("allowWatchBookmarks") === "true";
  const timer = setInterval(() => push("tick"), BOOKMARK_MS);
  timer.unref();
  signal.addEventListener("abort", () => wake(), { once: true });
  try {
    const existing = await converter.convert(
      present.map(({ object }) => object),
      kind,
      kind.apiVersion,
    );
    for (const object of existing) if (selection.matches(object)) yield { type: "ADDED", object };
    if (query.get("sendInitialEvents") === "true")
      yield bookmark(selection, since, { "k8s.io/initial-events-end": "true" });
    while (!signal.aborted) {
      const item = queue.shift();
      if (item === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if (item === "tick") {
        if (bookmarks && queue.length === 0) yield bookmark(selection, store.version, {});
      } else if (queue.length > MAX_BEHIND) throw expired(item.version, store.version);
      else if (wanted(item)) yield* linesOf(resources, selection, item);
    }
  } finally {
    clearInterval(timer);
    unsubscribe();
  }
}

function bookmark(selection: Selection, version: number, annotations: Readonly<Record<string, string>>): WatchLine {
  const { apiVersion, kind } = selection.target.kind;
  const marks: JsonObject = Object.keys(annotations).length === 0 ? {} : { annotations: { ...annotations } };
  const metadata = { resourceVersion: String(version), creationTimestamp: null, ...marks };
  return { type: "BOOKMARK", object: { kind, apiVersion, metadata } };
}

/** A change as a selective watcher sees it: objects enter and leave the selection. */
async function* linesOf(resources: Resources, selection: Selection, change: Change): AsyncGenerator<WatchLine> {
  const { kind } = selection.target;
  const states = change.previous === undefined ? [change.object] : [change.object, change.previous];
  const [object, previous] = await resources.converter.convert(states, kind, kind.apiVersion);
  const before = previous !== undefined && selection.matches(previous);
  const after = change.type !== "DELETED" && selection.matches(object!);
  if (after) yield { type: before ? "MODIFIED" : "ADDED", object: object! };
  else if (before) yield { type: "DELETED", object: leaving(object!, previous, change) };
}

/** What left the selection is shown in its last selected state, with the version of the change. */
function leaving(object: JsonObject, previous: JsonObject | undefined, change: Change): JsonObject {
  if (change.type === "DELETED" || previous === undefined) return object;
  return { ...previous, metadata: { ...metaOf(previous), resourceVersion: String(change.version) } };
}

/** `List` object of a page. */
export function listObject(target: Target, page: Page): JsonObject {
  // Items of built-in kinds are encoded as members of their list, which tells their type.
  const isBuiltin = target.kind.conversion === undefined;
  const items: Json[] = isBuiltin
    ? page.items.map(({ apiVersion: _version, kind: _kind, ...item }) => item)
    : page.items;
  return { kind: textOf(target.kind.listKind), apiVersion: target.kind.apiVersion, metadata: page.metadata, items };
}
