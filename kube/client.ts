import type { Resource } from "./resources.ts";
import type { KubeList, KubeObject, ObjectKey, WatchEvent } from "./types.ts";

/** Items per page of a list. */
export const LIST_PAGE_SIZE = 500;

/** Ends a request early; the promise then rejects with the signal's reason. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Options of a raw read. */
export interface RawOptions extends CallOptions {
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What a list or a watch selects. Without `namespace` it spans the cluster. */
export interface Selection {
  readonly namespace?: string | undefined;
  /** `key=value,…` with all operators of Kubernetes label selectors. */
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Ask for `metadata` alone (PartialObjectMetadata); items keep the real apiVersion and kind. */
  readonly metadataOnly?: boolean | undefined;
}

/** One page of a list. */
export interface ListOptions extends Selection, CallOptions {
  readonly limit?: number | undefined;
  readonly continueToken?: string | undefined;
  /** `"0"` allows an answer from the server's cache; absent is the most recent state. */
  readonly resourceVersion?: string | undefined;
}

/** A watch from a resourceVersion on. */
export interface WatchOptions extends Selection, CallOptions {
  readonly resourceVersion: string;
  readonly timeoutSeconds?: number | undefined;
  /** Default true. */
  readonly bookmarks?: boolean | undefined;
}

/** Options of writes. */
export interface WriteOptions extends CallOptions {
  readonly fieldManager?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly subresource?: string | undefined;
}

/** Options of a server-side apply; `force` (default false) takes fields over from other managers. */
export interface ApplyOptions extends WriteOptions {
  readonly fieldManager: string;
  readonly force?: boolean | undefined;
}

/** Body and type of a patch. */
export type Patch =
  | { readonly type: "merge" | "strategic"; readonly body: Readonly<Record<string, unknown>> }
  | { readonly type: "json"; readonly body: readonly Readonly<Record<string, unknown>>[] };

/** Options of a delete; a precondition that does not hold is a 409. */
export interface DeleteOptions extends CallOptions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan" | undefined;
  readonly gracePeriodSeconds?: number | undefined;
}

/**
 * A Kubernetes API server, spoken to in raw JSON. All methods reject with `KubeError`, or with the signal's reason when
 * aborted. Methods that take an object find its URL by `apiVersion` and `kind` in the resource table.
 */
export interface KubeClient {
  get(resource: Resource, key: ObjectKey, options?: CallOptions): Promise<KubeObject>;
  /** As `get`, but undefined where the object or its kind does not exist. */
  find(resource: Resource, key: ObjectKey, options?: CallOptions): Promise<KubeObject | undefined>;
  /** One page; follow `continueToken`, or use `listAll`. */
  list(resource: Resource, options?: ListOptions): Promise<KubeList>;
  create(object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** Replaces the whole object (PUT); `metadata.resourceVersion` makes it conditional. */
  update(object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  updateStatus(object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** Server-side apply: creates or merges, owning exactly the fields given. */
  apply(object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
  applyStatus(object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
  patch(resource: Resource, key: ObjectKey, patch: Patch, options?: WriteOptions): Promise<KubeObject>;
  delete(resource: Resource, key: ObjectKey, options?: DeleteOptions): Promise<void>;
  /** Events until the server ends the stream. Throws `KubeError` for ERROR lines (410 included) and damaged lines. */
  watch(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent>;
  /** Whether the server serves the kind (discovery, one request; not cached). */
  serves(resource: Resource, options?: CallOptions): Promise<boolean>;
  /** Any GET that answers JSON, such as `/version`; with further headers, of use where a proxy hands them on. */
  getRaw(path: string, options?: RawOptions): Promise<unknown>;
}

/** The pages of a list. Errors: those of `list`, between pages too, such as 410 where the server has forgotten the first one. */
export async function* listPages(
  client: Pick<KubeClient, "list">,
  resource: Resource,
  options: ListOptions = {},
): AsyncGenerator<KubeList> {
  let page = await client.list(resource, { limit: LIST_PAGE_SIZE, ...options });
  yield page;
  while (page.continueToken !== undefined) {
    page = await client.list(resource, { limit: LIST_PAGE_SIZE, ...options, continueToken: page.continueToken });
    yield page;
  }
}

/**
 * All items of a list. `resourceVersion` is that of the first page: a watch from there repeats at worst what a later page
 * already showed, and misses nothing.
 */
export async function listAll(
  client: Pick<KubeClient, "list">,
  resource: Resource,
  options: ListOptions = {},
): Promise<KubeList> {
  const pages: KubeList[] = [];
  for await (const page of listPages(client, resource, options)) pages.push(page);
  return { items: pages.flatMap(({ items }) => items), resourceVersion: pages[0]!.resourceVersion };
}
