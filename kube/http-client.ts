import type { IncomingMessage } from "node:http";
import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubeClient,
  ListOptions,
  Patch,
  RawOptions,
  Selection,
  WatchOptions,
  WriteOptions,
} from "./client.ts";
import type { MetricsRegistry } from "../telemetry/metrics.ts";
import { asConnectionError, type ClusterAccess, HttpTransport, isReset } from "./http-transport.ts";
import { readLines } from "./json-lines.ts";
import { apiPath, collectionPath, objectPath, type Resource, resourceOf } from "./resources.ts";
import {
  isNotFound,
  KubeError,
  type KubeList,
  type KubeObject,
  keyOf,
  type ObjectKey,
  type WatchEvent,
} from "./types.ts";
import { decodeList, decodeObject, decodeStatus, decodeWatchLine, isRecord, parseJson } from "./wire.ts";

export { type KubeConfigSource, currentNamespace, loadKubeConfig } from "./kubeconfig.ts";

/** What `createKubeClient` takes besides the credentials; all parts are optional. */
export interface KubeClientOptions {
  /** A request fails after this long without a byte; default 30 s. */
  readonly requestIdleMs?: number;
  /** A watch fails after this long without a byte; default is its own `timeoutSeconds` and half a minute more. */
  readonly watchIdleMs?: number;
  /** `User-Agent` of all requests; default `llmisvc`. */
  readonly userAgent?: string;
  /** Told of every answer: HTTP method, path with query, and status; 0 where no answer came. */
  readonly onAnswer?: (method: string, path: string, status: number) => void;
}

/** A listener for `onAnswer` that counts, under the name that client-go's users know. */
export function countAnswers(registry: MetricsRegistry): NonNullable<KubeClientOptions["onAnswer"]> {
  const total = registry.counter({
    name: "rest_client_requests_total",
    help: "Number of HTTP requests, partitioned by status code and method.",
    labels: ["code", "method"],
    maxSeries: 200,
  });
  return (method, _path, status) => total.labels(status === 0 ? "<error>" : String(status), method).inc();
}

/** A client that holds connections. */
export interface HttpKubeClient extends KubeClient {
  /** Closes all connections; running calls fail. */
  close(): void;
}

const REQUEST_IDLE_MS = 30_000;
const WATCH_TIMEOUT_SECONDS = 300;
const WATCH_GRACE_MS = 30_000;
/** Longest line of a watch: etcd holds objects up to 1.5 MB by default, so this is damage or abuse. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

const PATCH_TYPES: Readonly<Record<Patch["type"], string>> = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
};
/** JSON is YAML, so the body stays JSON. */
const APPLY_TYPE = "application/apply-patch+yaml";

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

interface Request {
  /** Start of error messages: `get Pod default/a`. */
  readonly action: string;
  readonly method: string;
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A client of the API server that a kubeconfig's current context names. No request is sent yet. */
export function createKubeClient(config: ClusterAccess, options: KubeClientOptions = {}): HttpKubeClient {
  return new RawJsonClient(config, options);
}

class RawJsonClient implements HttpKubeClient {
  readonly #transport: HttpTransport;
  readonly #options: KubeClientOptions;

  constructor(config: ClusterAccess, options: KubeClientOptions) {
    this.#transport = new HttpTransport(config);
    this.#options = options;
  }

  close(): void {
    this.#transport.close();
  }

  async get(resource: Resource, key: ObjectKey, options: CallOptions = {}): Promise<KubeObject> {
    const action = describe("get", resource, key);
    const path = objectPath(resource, key);
    return decodeObject(await this.#json({ action, method: "GET", path, signal: options.signal }), resource);
  }

  async find(resource: Resource, key: ObjectKey, options: CallOptions = {}): Promise<KubeObject | undefined> {
    try {
      return await this.get(resource, key, options);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async list(resource: Resource, options: ListOptions = {}): Promise<KubeList> {
    const { limit, continueToken, resourceVersion, metadataOnly = false } = options;
    // A continue token carries the version; sending both is an error.
    const version = continueToken === undefined ? resourceVersion : undefined;
    const answer = await this.#json({
      action: `list ${resource.plural}`,
      method: "GET",
      path: collectionPath(resource, options.namespace),
      query: { ...selectionQuery(options), limit, continue: continueToken, resourceVersion: version },
      accept: acceptHeader(metadataOnly, "PartialObjectMetadataList"),
      signal: options.signal,
    });
    return decodeList(answer, resource, metadataOnly);
  }

  create(object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const resource = resourceOf(object);
    const path =
      options.subresource === undefined
        ? collectionPath(resource, requireNamespace(resource, object))
        : objectPath(resource, object.metadata, options.subresource);
    return this.#write("create", "POST", path, resource, object, options);
  }

  update(object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const resource = resourceOf(object);
    const path = objectPath(resource, object.metadata, options.subresource);
    return this.#write("update", "PUT", path, resource, object, options);
  }

  updateStatus(object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    return this.update(object, { ...options, subresource: "status" });
  }

  apply(object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    const resource = resourceOf(object);
    const path = objectPath(resource, object.metadata, options.subresource);
    return this.#write("apply", "PATCH", path, resource, object, options, APPLY_TYPE);
  }

  applyStatus(object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    return this.apply(object, { ...options, subresource: "status" });
  }

  async patch(resource: Resource, key: ObjectKey, patch: Patch, options: WriteOptions = {}): Promise<KubeObject> {
    const answer = await this.#json({
      action: describe("patch", resource, key),
      method: "PATCH",
      path: objectPath(resource, key, options.subresource),
      query: writeQuery(options),
      body: patch.body,
      contentType: PATCH_TYPES[patch.type],
      signal: options.signal,
    });
    return decodeObject(answer, resource);
  }

  async delete(resource: Resource, key: ObjectKey, options: DeleteOptions = {}): Promise<void> {
    const { uid, resourceVersion, propagationPolicy, gracePeriodSeconds } = options;
    const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
    await this.#json({
      action: describe("delete", resource, key),
      method: "DELETE",
      path: objectPath(resource, key),
      body: { apiVersion: "v1", kind: "DeleteOptions", preconditions, propagationPolicy, gracePeriodSeconds },
      signal: options.signal,
    });
  }

  async *watch(resource: Resource, options: WatchOptions): AsyncGenerator<WatchEvent> {
    const { metadataOnly = false, signal } = options;
    const action = `watch ${resource.plural}`;
    const response = await this.#openWatch(resource, options, action);
    try {
      for await (const line of readLines(response, MAX_LINE_BYTES)) yield decodeWatchLine(line, resource, metadataOnly);
    } catch (error) {
      throw watchError(error, action, signal);
    } finally {
      response.destroy();
    }
  }

  async serves(resource: Resource, options: CallOptions = {}): Promise<boolean> {
    try {
      const answer = await this.getRaw(apiPath(resource.apiVersion), options);
      const served = isRecord(answer) && Array.isArray(answer["resources"]) ? answer["resources"] : [];
      return served.some((entry) => isRecord(entry) && entry["name"] === resource.plural);
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  getRaw(path: string, { headers, signal }: RawOptions = {}): Promise<unknown> {
    return this.#json({ action: `get ${path}`, method: "GET", path, headers, signal });
  }

  async #write(
    verb: string,
    method: string,
    path: string,
    resource: Resource,
    object: KubeObject,
    options: WriteOptions & { readonly force?: boolean | undefined },
    contentType = "application/json",
  ): Promise<KubeObject> {
    const action = describe(verb, resource, object.metadata);
    const query = { ...writeQuery(options), force: options.force === true ? true : undefined };
    const answer = await this.#json({ action, method, path, query, body: object, contentType, signal: options.signal });
    return decodeObject(answer, resource);
  }

  async #openWatch(resource: Resource, options: WatchOptions, action: string): Promise<IncomingMessage> {
    const { timeoutSeconds = WATCH_TIMEOUT_SECONDS, bookmarks = true, metadataOnly = false } = options;
    const query = {
      ...selectionQuery(options),
      watch: true,
      resourceVersion: options.resourceVersion,
      allowWatchBookmarks: bookmarks ? true : undefined,
      timeoutSeconds,
    };
    const path = collectionPath(resource, options.namespace);
    const accept = acceptHeader(metadataOnly, "PartialObjectMetadata");
    const idleMs = this.#options.watchIdleMs ?? timeoutSeconds * 1000 + WATCH_GRACE_MS;
    return this.#open({ action, method: "GET", path, query, accept, signal: options.signal }, idleMs);
  }

  /** A response of status 2xx. Errors: `KubeError` for any other. */
  async #open(request: Request, idleMs: number): Promise<IncomingMessage> {
    const { action, method, path, query = {}, contentType = "application/json", signal } = request;
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const headers = {
      ...request.headers,
      accept: request.accept ?? "application/json",
      "user-agent": this.#options.userAgent ?? "llmisvc",
      ...(body === undefined ? {} : { "content-type": contentType, "content-length": String(Buffer.byteLength(body)) }),
    };
    const call = { method, path: path + encodeQuery(query), headers, body, signal, idleMs };
    const answered = (code: number): void => this.#options.onAnswer?.(method, call.path, code);
    const response = await this.#transport.open(call).catch((error: unknown) => {
      answered(0);
      throw withAction(error, action);
    });
    const status = response.statusCode ?? 0;
    answered(status);
    if (status >= 200 && status < 300) return response;
    throw await refusal(response, status, action, signal);
  }

  async #json(request: Request): Promise<unknown> {
    const response = await this.#open(request, this.#options.requestIdleMs ?? REQUEST_IDLE_MS);
    const text = await readText(response, request.action, request.signal);
    return text === "" ? undefined : parseJson(text, `${request.action}: answer`);
  }
}

function describe(verb: string, resource: Resource, key: ObjectKey): string {
  return `${verb} ${resource.kind} ${keyOf(key)}`;
}

function requireNamespace(resource: Resource, object: KubeObject): string | undefined {
  const { namespace, name } = object.metadata;
  if (resource.namespaced && (namespace === undefined || namespace === ""))
    throw new Error(`${resource.kind} "${name}": metadata.namespace is required for a namespaced kind`);
  return namespace;
}

function selectionQuery(selection: Selection): Query {
  return { labelSelector: selection.labelSelector, fieldSelector: selection.fieldSelector };
}

function writeQuery(options: WriteOptions): Query {
  return { fieldManager: options.fieldManager, dryRun: options.dryRun === true ? "All" : undefined };
}

function encodeQuery(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

function acceptHeader(metadataOnly: boolean, as: string): string {
  return metadataOnly ? `application/json;as=${as};g=meta.k8s.io;v=v1,application/json` : "application/json";
}

/** By events: an iterator costs several times as much for the one chunk that most answers are. */
function readText(response: IncomingMessage, action: string, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const fail = (error: unknown): void => reject(withAction(asConnectionError(error, signal), action));
    response.on("data", (chunk: Buffer) => void chunks.push(chunk));
    response.once("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    response.once("error", fail);
    response.once("close", () => {
      if (!response.readableEnded) fail(new Error("the answer ended early"));
    });
  });
}

async function refusal(
  response: IncomingMessage,
  status: number,
  action: string,
  signal: AbortSignal | undefined,
): Promise<KubeError> {
  const text = await readText(response, action, signal);
  const error = decodeStatus(jsonOrText(text), status, action);
  const retryAfter = Number(response.headers["retry-after"]);
  if (error.retryAfterSeconds !== undefined || !(retryAfter >= 0)) return error;
  const { code, reason, message, details } = error;
  return new KubeError({ code, reason, message, details, retryAfterSeconds: retryAfter });
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Prefixes an error that arose below with what was being done; other reasons of a signal pass as they are. */
function withAction(error: unknown, action: string): unknown {
  if (!(error instanceof KubeError) || error.code !== 0) return error;
  const { code, reason, message, cause } = error;
  return new KubeError({ code, reason, message: `${action}: ${message}`, cause });
}

/** Socket errors carry a code; anything else that ends the reading of lines is damage of the stream. */
function watchError(error: unknown, action: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof KubeError) return withAction(error, action);
  if (isReset(error)) return withAction(asConnectionError(error, signal), action);
  return new KubeError({ code: 0, reason: "BrokenStream", message: `${action}: damaged stream`, cause: error });
}
