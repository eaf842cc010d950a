import { Agent as HttpAgent, type IncomingMessage, type OutgoingHttpHeaders, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, type RequestOptions, request as httpsRequest } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubeClient,
  ListOptions,
  Patch,
  Selection,
  WatchOptions,
  WriteOptions,
} from "./client.ts";
import { brokenStream, connectionFailed, decodeEvent, statusError } from "./errors.ts";
import { splitLines } from "./lines.ts";
import { type Resource, apiPath, collectionPath, objectPath, resourceOf } from "./resources.ts";
import { type KubeList, type KubeObject, type ObjectKey, type WatchEvent, KubeError, isNotFound } from "./types.ts";

/** An answer without a byte for this long has failed; watches use their own limit. */
const REQUEST_TIMEOUT_MS = 30_000;
/** A watch without a byte for this long is taken for dead; servers send bookmarks about once a minute. */
const WATCH_STALL_MS = 150_000;
/** Answers larger than this are refused. */
const MAX_RESPONSE_BYTES = 512 * 1024 * 1024;

const PATCH_TYPES = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
} as const;
const APPLY_TYPE = "application/apply-patch+yaml";
const METADATA_ONLY = ";as=PartialObjectMetadata";
const META_VERSION = "meta.k8s.io";

/** What a client may be told besides its configuration. */
export interface ClientOptions {
  /** Sent as `User-Agent`. */
  readonly userAgent?: string | undefined;
  /** A watch without a byte for this long ends with `Timeout`; default 150,000 ms. */
  readonly watchStallMs?: number | undefined;
  readonly requestTimeoutMs?: number | undefined;
}

/**
 * Where the API server is and how to prove who asks: the file(s) named by `KUBECONFIG`, else the pod's service account,
 * else `~/.kube/config`. `path` overrides them all. Errors: what @kubernetes/client-node throws for unreadable files.
 */
export function loadKubeConfig(path?: string): KubeConfig {
  const config = new KubeConfig();
  if (path === undefined || path === "") config.loadFromDefault();
  else config.loadFromFile(path);
  return config;
}

/** A configuration from the text of a kubeconfig file. */
export function parseKubeConfig(text: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(text);
  return config;
}

/** Creates a client over keep-alive HTTP/1.1 connections. Errors: `Error` where the configuration names no cluster. */
export function createKubeClient(config: KubeConfig, options: ClientOptions = {}): KubeClient {
  return new HttpKubeClient(new Transport(config, options));
}

interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/** Sends requests with the configuration's credentials. */
class Transport {
  readonly #config: KubeConfig;
  readonly #base: URL;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #userAgent: string;
  readonly requestTimeoutMs: number;
  readonly watchStallMs: number;

  constructor(config: KubeConfig, options: ClientOptions) {
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error("the kubeconfig names no current cluster: set current-context");
    this.#config = config;
    this.#base = new URL(cluster.server);
    const agentOptions = { keepAlive: true, maxSockets: 64 };
    this.#agent = this.#base.protocol === "https:" ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
    this.#userAgent = options.userAgent ?? "llmisvc";
    this.requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.watchStallMs = options.watchStallMs ?? WATCH_STALL_MS;
  }

  /** Opens a request and resolves with its answer, whatever its status. */
  async open(call: Call): Promise<IncomingMessage> {
    call.signal?.throwIfAborted();
    const options = await this.#options(call);
    const send = this.#base.protocol === "https:" ? httpsRequest : httpRequest;
    return await new Promise((resolve, reject) => {
      const request = send(options, resolve);
      const fail = (error: Error): void => reject(call.signal?.aborted === true ? call.signal.reason : error);
      request.on("error", (error) => fail(connectionFailed(call, error)));
      request.setTimeout(call.timeoutMs ?? this.requestTimeoutMs, () => request.destroy(new Error("timed out")));
      const abort = (): void => void request.destroy();
      call.signal?.addEventListener("abort", abort, { once: true });
      request.once("close", () => call.signal?.removeEventListener("abort", abort));
      request.end(call.body === undefined ? undefined : JSON.stringify(call.body));
    });
  }

  async #options(call: Call): Promise<RequestOptions> {
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) if (value !== undefined) query.set(name, value);
    const suffix = query.size === 0 ? "" : `?${query.toString()}`;
    return {
      ...options,
      agent: this.#agent,
      protocol: this.#base.protocol,
      hostname: this.#base.hostname.replace(/^\[|\]$/g, ""),
      port: this.#base.port,
      method: call.method,
      path: `${this.#base.pathname.replace(/\/$/, "")}${call.path}${suffix}`,
      headers: {
        ...(options.headers as OutgoingHttpHeaders | undefined),
        accept: call.accept ?? "application/json",
        "user-agent": this.#userAgent,
        ...(call.body === undefined ? {} : { "content-type": call.contentType ?? "application/json" }),
      },
    };
  }
}

async function readAll(response: IncomingMessage, call: Call): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response) {
      const bytes: Buffer = chunk;
      size += bytes.length;
      if (size > MAX_RESPONSE_BYTES) throw new Error(`answer larger than ${MAX_RESPONSE_BYTES} bytes`);
      chunks.push(bytes);
    }
  } catch (error) {
    if (call.signal?.aborted === true) throw call.signal.reason;
    throw connectionFailed(call, error);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseAnswer(text: string, call: Call): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw brokenStream(`${call.method} ${call.path}: the answer is not JSON`, error);
  }
}

const asObject = (value: unknown): KubeObject => value as KubeObject;

/** Items of typed lists carry neither kind nor apiVersion: the list's own stand for them. */
function asList(value: unknown, resource: Resource): KubeList {
  const list = value as { items?: unknown[] | null; metadata?: { resourceVersion?: string; continue?: string } };
  const next = list.metadata?.continue;
  return {
    items: (list.items ?? []).map((item) => typed(asObject(item), resource)),
    resourceVersion: list.metadata?.resourceVersion ?? "",
    ...(next === undefined || next === "" ? {} : { continueToken: next }),
  };
}

function typed(object: KubeObject, { apiVersion, kind }: Resource): KubeObject {
  if (object.apiVersion !== undefined && !object.apiVersion.startsWith(META_VERSION)) return object;
  return { ...object, apiVersion, kind };
}

function selectionQuery(selection: Selection): Record<string, string | undefined> {
  return { labelSelector: selection.labelSelector, fieldSelector: selection.fieldSelector };
}

function accept(kind: "PartialObjectMetadataList" | "PartialObjectMetadata", selection: Selection): string {
  if (selection.metadataOnly !== true) return "application/json";
  return `application/json${METADATA_ONLY}${kind.endsWith("List") ? "List" : ""};v=v1;g=${META_VERSION}`;
}

function writeQuery(options: WriteOptions): Record<string, string | undefined> {
  return { fieldManager: options.fieldManager, dryRun: options.dryRun === true ? "All" : undefined };
}

const keyOfObject = ({ metadata }: KubeObject): ObjectKey => ({ namespace: metadata.namespace, name: metadata.name });

class HttpKubeClient implements KubeClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async #call(call: Call): Promise<unknown> {
    const response = await this.#transport.open(call);
    const text = await readAll(response, call);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw statusError(status, text, response.headers["retry-after"], call);
    return text === "" ? undefined : parseAnswer(text, call);
  }

  async get(resource: Resource, key: ObjectKey, options: CallOptions = {}): Promise<KubeObject> {
    return asObject(await this.#call({ method: "GET", path: objectPath(resource, key), signal: options.signal }));
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
    const query = {
      ...selectionQuery(options),
      limit: options.limit === undefined ? undefined : String(options.limit),
      continue: options.continueToken,
      resourceVersion: options.resourceVersion,
    };
    const path = collectionPath(resource, options.namespace);
    const header = accept("PartialObjectMetadataList", options);
    return asList(await this.#call({ method: "GET", path, query, accept: header, signal: options.signal }), resource);
  }

  async create(object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const path = collectionPath(resourceOf(object), object.metadata.namespace);
    return asObject(await this.#write("POST", path, object, options));
  }

  async update(object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const path = objectPath(resourceOf(object), keyOfObject(object), options.subresource);
    return asObject(await this.#write("PUT", path, object, options));
  }

  async updateStatus(object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    return await this.update(object, { ...options, subresource: "status" });
  }

  async #write(method: "POST" | "PUT", path: string, body: unknown, options: WriteOptions): Promise<unknown> {
    return await this.#call({ method, path, body, query: writeQuery(options), signal: options.signal });
  }

  async apply(object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    const path = objectPath(resourceOf(object), keyOfObject(object), options.subresource);
    const query = { ...writeQuery(options), force: options.force === true ? "true" : undefined };
    const call = { method: "PATCH", path, query, body: object, contentType: APPLY_TYPE } as const;
    return asObject(await this.#call({ ...call, signal: options.signal }));
  }

  async applyStatus(object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    return await this.apply(object, { ...options, subresource: "status" });
  }

  async patch(resource: Resource, key: ObjectKey, patch: Patch, options: WriteOptions = {}): Promise<KubeObject> {
    const path = objectPath(resource, key, options.subresource);
    const call = { method: "PATCH", path, query: writeQuery(options), body: patch.body } as const;
    return asObject(await this.#call({ ...call, contentType: PATCH_TYPES[patch.type], signal: options.signal }));
  }

  async delete(resource: Resource, key: ObjectKey, options: DeleteOptions = {}): Promise<void> {
    const { uid, resourceVersion, propagationPolicy, gracePeriodSeconds } = options;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      propagationPolicy,
      gracePeriodSeconds,
      ...(uid === undefined && resourceVersion === undefined ? {} : { preconditions: { uid, resourceVersion } }),
    };
    await this.#call({ method: "DELETE", path: objectPath(resource, key), body, signal: options.signal });
  }

  async *watch(resource: Resource, options: WatchOptions): AsyncGenerator<WatchEvent> {
    const call: Call = {
      method: "GET",
      path: collectionPath(resource, options.namespace),
      query: {
        ...selectionQuery(options),
        watch: "true",
        resourceVersion: options.resourceVersion,
        allowWatchBookmarks: options.bookmarks === false ? undefined : "true",
        timeoutSeconds: options.timeoutSeconds === undefined ? undefined : String(options.timeoutSeconds),
      },
      accept: accept("PartialObjectMetadata", options),
      signal: options.signal,
      timeoutMs: this.#transport.watchStallMs,
    };
    const response = await this.#transport.open(call);
    const status = response.statusCode ?? 0;
    if (status !== 200) throw statusError(status, await readAll(response, call), undefined, call);
    try {
      for await (const line of splitLines(response)) {
        const event = decodeEvent(line, call);
        yield event.type === "BOOKMARK" ? event : { ...event, object: typed(event.object, resource) };
      }
    } catch (error) {
      if (options.signal?.aborted === true) throw options.signal.reason;
      throw error instanceof KubeError ? error : connectionFailed(call, error);
    } finally {
      response.destroy();
    }
  }

  async serves(resource: Resource, options: CallOptions = {}): Promise<boolean> {
    try {
      const path = apiPath(resource.apiVersion);
      const list = (await this.#call({ method: "GET", path, signal: options.signal })) as {
        resources?: { name?: string }[];
      };
      return (list.resources ?? []).some(({ name }) => name === resource.plural);
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async getRaw(path: string, options: CallOptions = {}): Promise<unknown> {
    return await this.#call({ method: "GET", path, signal: options.signal });
  }
}
