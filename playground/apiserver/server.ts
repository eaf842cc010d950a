import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { coreKinds } from "../../crds/core.ts";
import { dumpYaml } from "../../kube/yaml.ts";
import { type Logger, silentLogger } from "../../telemetry/log.ts";
import { Admission } from "./admission.ts";
import { Converter } from "./conversion.ts";
import { VERSION, aggregated, coreVersions, groupList, groupOf, resourceList } from "./discovery.ts";
import { ApiError, TextError, internalError, noSuchPath } from "./errors.ts";
import { ResourceHandler } from "./handler.ts";
import { decodeObject, mediaType, readBody, send, sendText } from "./http.ts";
import { Journal } from "./journal.ts";
import { KindRegistry, builtinKind } from "./kinds.ts";
import { Lifecycle } from "./lifecycle.ts";
import type { PodLogs } from "./logs.ts";
import { OpenApi, SWAGGER_PROTOBUF, swaggerProtobuf } from "./openapi.ts";
import { parseResourcePath } from "./paths.ts";
import { parsePodProxyPath } from "./pod-proxy.ts";
import { acceptedTypes } from "./representation.ts";
import { Resources } from "./resources.ts";
import { answerReview } from "./reviews.ts";
import { Store } from "./store.ts";
import { createWebhookCaller } from "./webhook-call.ts";

/** Where the server listens and what it keeps. */
export interface ApiServerOptions {
  /** Default 127.0.0.1; there is no authentication, so nothing but loopback is sensible. */
  readonly host?: string | undefined;
  /** Default 0: a free one. */
  readonly port?: number | undefined;
  /** Folder of the state; absent keeps it in memory. */
  readonly dataDir?: string | undefined;
  readonly logger?: Logger | undefined;
  /** Wall clock in ms; default `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

/** A running API server. */
export interface ApiServer {
  /** `http://host:port`. */
  readonly url: string;
  /** A kubeconfig (YAML) with one context, `playground`. */
  kubeconfig(): string;
  /** Names who answers `pods/log`. */
  onPodLogs(podLogs: PodLogs): void;
  /** Forgets the history of changes, so that watches from older versions answer 410. */
  compact(): void;
  /** Ends all requests and writes the state out. */
  close(): Promise<void>;
}

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** Starts an API server that speaks the Kubernetes API over plain HTTP. Errors: an address in use, damaged state. */
export async function createApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const logger = options.logger ?? silentLogger;
  const now = options.clock ?? Date.now;
  const store = new Store(options.dataDir === undefined ? undefined : new Journal(options.dataDir));
  const kinds = new KindRegistry(coreKinds().map(builtinKind));
  const call = createWebhookCaller(store);
  const converter = new Converter(call);
  const admission = new Admission({ store, kinds, converter, call });
  const resources = new Resources({ store, kinds, converter, admission, now });
  const lifecycle = new Lifecycle(resources, logger, now);
  const handler = new ResourceHandler(resources, now);
  const front = new Front(kinds, handler, logger);
  const server = createServer((request, response) => void front.serve(request, response));
  server.keepAliveTimeout = 60_000;
  await listen(server, options.port ?? 0, options.host ?? "127.0.0.1");
  const address = server.address() as AddressInfo;
  const url = `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
  return {
    url,
    kubeconfig: () => kubeconfigFor(url),
    onPodLogs: (podLogs) => handler.setPodLogs(podLogs),
    compact: () => store.compact(),
    close: async () => {
      lifecycle.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      store.close();
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
}

function kubeconfigFor(url: string): string {
  const name = "playground";
  return dumpYaml({
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server: url } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "default" } }],
  });
}

/** Everything outside the resource API, and the errors of all. */
class Front {
  readonly #kinds: KindRegistry;
  readonly #handler: ResourceHandler;
  readonly #openApi: OpenApi;
  readonly #logger: Logger;

  constructor(kinds: KindRegistry, handler: ResourceHandler, logger: Logger) {
    this.#kinds = kinds;
    this.#handler = handler;
    this.#openApi = new OpenApi(kinds);
    this.#logger = logger;
  }

  /** Answers a request; never throws. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? "/", "http://server");
      await this.#route(request, response, url);
    } catch (error) {
      this.#fail(request, response, error);
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known =
      error instanceof ApiError ? error : internalError(error instanceof Error ? error.message : String(error));
    if (!(error instanceof ApiError)) this.#logger.error("a request failed", { path: request.url ?? "", error });
    if (response.destroyed) return;
    if (response.headersSent) response.destroy();
    else if (known instanceof TextError)
      sendText(request, response, known.code, known.message, "text/plain; charset=utf-8");
    else send(request, response, known.code, known.status(), { yaml: wantsYaml(request) });
  }

  async #route(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, "") : url.pathname;
    if (this.#bytes(request, response, path)) return;
    const body = request.method === "GET" ? this.#document(request, path) : undefined;
    if (body !== undefined)
      return send(request, response, 200, body.object, body.type === undefined ? {} : { contentType: body.type });
    const proxied = parsePodProxyPath(url.pathname);
    if (proxied !== undefined) return await this.#handler.proxy(request, response, proxied, url.search);
    const resource = parseResourcePath(path);
    if (resource === undefined) throw noSuchPath();
    if (
      request.method === "POST" &&
      this.#kinds.find(resource.group, resource.version, resource.plural) === undefined
    ) {
      const review = decodeObject(await readBody(request), mediaType(request));
      const answer = answerReview(resource.group, resource.version, resource.plural, review);
      if (answer === undefined) throw noSuchPath();
      return send(request, response, 201, answer);
    }
    await this.#handler.handle(request, response, resource, url.searchParams);
  }

  #bytes(request: IncomingMessage, response: ServerResponse, path: string): boolean {
    if (path === "/healthz" || path === "/livez" || path === "/readyz") {
      sendText(request, response, 200, "ok", "text/plain; charset=utf-8");
      return true;
    }
    if (path === "/openapi/v2" && acceptedTypes(request.headers.accept)[0]?.type === SWAGGER_PROTOBUF) {
      response.writeHead(200, { "content-type": SWAGGER_PROTOBUF.replace("@", ".") });
      response.end(swaggerProtobuf());
      return true;
    }
    const name = /^\/openapi\/v3\/(.+)$/.exec(path)?.[1];
    const document = name === undefined ? undefined : this.#openApi.document(name);
    if (document === undefined) return false;
    sendText(request, response, 200, document, "application/json");
    return true;
  }

  /** Discovery and the descriptions of the API. */
  #document(
    request: IncomingMessage,
    path: string,
  ): { object: ReturnType<typeof coreVersions>; type?: string } | undefined {
    if (path === "/version") return { object: { ...VERSION } };
    if (path === "/openapi/v3") return { object: this.#openApi.index() };
    if (path === "/openapi/v2") return { object: this.#openApi.swagger() };
    if (path === "/api" || path === "/apis") {
      if (wantsAggregated(request)) return { object: aggregated(this.#kinds, path === "/api"), type: AGGREGATED };
      return { object: path === "/api" ? coreVersions() : groupList(this.#kinds) };
    }
    const [root, group = "", version, ...rest] = path.slice(1).split("/");
    if (rest.length > 0) return undefined;
    const object =
      root === "api" && version === undefined
        ? resourceList(this.#kinds, "", group)
        : root !== "apis"
          ? undefined
          : version === undefined
            ? groupOf(this.#kinds, group)
            : resourceList(this.#kinds, group, version);
    return object === undefined ? undefined : { object };
  }
}

function wantsYaml(request: IncomingMessage): boolean {
  return acceptedTypes(request.headers.accept)[0]?.type === "application/yaml";
}

function wantsAggregated(request: IncomingMessage): boolean {
  return acceptedTypes(request.headers.accept).some(
    ({ type, parameters }) =>
      type === "application/json" && parameters["as"] === "APIGroupDiscoveryList" && parameters["v"] === "v2",
  );
}
