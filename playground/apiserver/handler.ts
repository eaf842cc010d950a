import type { IncomingMessage, ServerResponse } from "node:http";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { listObject, listPage, selectionOf, watchLines } from "./collections.ts";
import type { DeleteMode } from "./deletion.ts";
import {
  ApiError,
  badRequest,
  invalid,
  methodNotAllowed,
  noSuchPage,
  noSuchPath,
  notFound,
  successStatus,
  unsupportedPatchType,
} from "./errors.ts";
import { decode, decodeObject, mediaType, readBody, send, setWarnings } from "./http.ts";
import type { ServedKind } from "./kinds.ts";
import { serveLog, type PodLogs } from "./logs.ts";
import { isObject, metaOf, nameOf, namespaceOf, objectOf, textOf } from "./objects.ts";
import { jsonPatch, mergePatch, strategicPatch } from "./patches.ts";
import type { ResourcePath } from "./paths.ts";
import { type PodProxyPath, proxyToPod } from "./pod-proxy.ts";
import { type Representation, negotiate, represent, representPage } from "./representation.ts";
import type { Resources } from "./resources.ts";
import { type Target, type WriteMode, type Written, subjectOf } from "./target.ts";
import { boundPod } from "./pod-binding.ts";
import { refuseUnscaled, scaleOf, withScale } from "./scale.ts";

/** One request for a resource. */
interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly query: URLSearchParams;
  readonly warnings: string[];
}

const SUBRESOURCES = new Set(["", "status", "scale", "finalize", "log", "binding"]);

function managerOf(request: IncomingMessage, query: URLSearchParams): string {
  const agent = String(request.headers["user-agent"] ?? "unknown").split("/")[0];
  return (query.get("fieldManager") || agent || "unknown").slice(0, 128);
}

function modeOf(call: Call): WriteMode {
  const { query } = call;
  const fieldValidation = query.get("fieldValidation");
  return {
    manager: managerOf(call.request, query),
    dryRun: query.getAll("dryRun").includes("All"),
    fieldValidation: fieldValidation === "Strict" || fieldValidation === "Ignore" ? fieldValidation : "Warn",
    force: query.get("force") === "true",
    warnings: call.warnings,
  };
}

/** Options of a delete, from the body where there is one, else from the query. */
function deleteModeOf(call: Call, body: JsonObject): DeleteMode {
  const { query } = call;
  const preconditions = objectOf(body["preconditions"]);
  const grace = body["gracePeriodSeconds"] ?? query.get("gracePeriodSeconds") ?? undefined;
  const orphan = body["orphanDependents"] === true || query.get("orphanDependents") === "true";
  const policy = textOf(body["propagationPolicy"]) || query.get("propagationPolicy") || (orphan ? "Orphan" : "");
  return {
    dryRun: query.getAll("dryRun").includes("All") || (Array.isArray(body["dryRun"]) && body["dryRun"].includes("All")),
    uid: textOf(preconditions["uid"]) || undefined,
    resourceVersion: textOf(preconditions["resourceVersion"]) || undefined,
    gracePeriodSeconds: grace === undefined || grace === null ? undefined : Number(grace),
    propagationPolicy: policy === "" ? undefined : policy,
    warnings: call.warnings,
  };
}

/** Serves the resource API over the store. */
export class ResourceHandler {
  readonly #resources: Resources;
  readonly #now: () => number;
  #podLogs: PodLogs | undefined;

  constructor(resources: Resources, now: () => number) {
    this.#resources = resources;
    this.#now = now;
  }

  /** Who answers `pods/log`. */
  setPodLogs(podLogs: PodLogs): void {
    this.#podLogs = podLogs;
  }

  /** Passes a request on to a pod. Errors: `ApiError`. */
  async proxy(request: IncomingMessage, response: ServerResponse, path: PodProxyPath, search: string): Promise<void> {
    const kind = this.#resources.kinds.find("", "v1", "pods");
    if (kind === undefined) throw noSuchPath();
    const pod = await this.#resources.get({ kind, namespace: path.namespace, name: path.name, subresource: "" });
    await proxyToPod(request, response, pod, path, search);
  }

  /** Answers one request. Errors: `ApiError`. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    path: ResourcePath,
    query: URLSearchParams,
  ): Promise<void> {
    const kind = this.#resources.kinds.find(path.group, path.version, path.plural);
    if (kind === undefined && !this.#resources.kinds.isBuiltinGroup(path.group)) throw noSuchPage();
    if (kind === undefined) throw noSuchPath();
    if (!SUBRESOURCES.has(path.subresource)) throw unknownSubresource(kind, path.name);
    if (!servesSubresource(kind, path.subresource) || (!kind.namespaced && path.namespace !== "")) throw noSuchPath();
    const target = { kind, namespace: path.namespace, name: path.name, subresource: path.subresource };
    if (path.subresource !== "log") negotiate(request.headers.accept);
    const call = { request, response, target, query, warnings: [] };
    try {
      await this.#dispatch(call);
    } catch (error) {
      setWarnings(response, call.warnings);
      throw error;
    }
  }

  async #dispatch(call: Call): Promise<void> {
    const { response, target, query } = call;
    if (target.subresource === "log")
      return await serveLog(response, await this.#resources.get({ ...target, subresource: "" }), query, this.#podLogs);
    if (target.subresource === "scale") return await this.#scale(call);
    if (target.subresource === "binding") return await this.#bind(call);
    return target.name === "" ? await this.#collection(call) : await this.#single(call);
  }

  async #collection(call: Call): Promise<void> {
    if (call.request.method === "POST") return await this.#create(call);
    if (call.request.method === "DELETE") return await this.#deleteCollection(call);
    if (call.request.method !== "GET" && call.target.kind.conversion !== undefined)
      throw badRequest("name must be provided");
    if (call.request.method !== "GET") throw methodNotAllowed();
    if (call.query.get("watch") === "true" || call.query.get("watch") === "1") return await this.#watch(call);
    for (const number of ["limit", "timeoutSeconds"]) refuseNonNumber(call.query.get(number));
    const page = await listPage(this.#resources, selectionOf(call.target, call.query), call.query);
    const representation = negotiate(call.request.headers.accept);
    const body = representPage(page, call.target, representation, call.query, this.#now());
    send(call.request, call.response, 200, body, { yaml: representation.format === "yaml" });
  }

  async #single(call: Call): Promise<void> {
    const { kind, namespace } = call.target;
    if (kind.namespaced && namespace === "") throw noSuchPath();
    switch (call.request.method ?? "") {
      case "GET":
        if (call.query.get("watch") === "true") return await this.#watch(call);
        return this.#answer(call, 200, await this.#resources.get(call.target));
      case "PUT": {
        const body = decodeObject(await readBody(call.request), mediaType(call.request));
        return this.#written(call, await this.#resources.update(call.target, body, modeOf(call)));
      }
      case "PATCH":
        return this.#written(call, await this.#patch(call));
      case "DELETE":
        return await this.#delete(call);
      case "POST":
        if (kind.conversion !== undefined) return await this.#create(call);
        throw methodNotAllowed();
      default:
        throw methodNotAllowed();
    }
  }

  async #create(call: Call): Promise<void> {
    const body = decodeObject(await readBody(call.request), mediaType(call.request));
    const { kind } = call.target;
    if (kind.conversion !== undefined) refuseUntold(kind, body);
    const namespace = kind.namespaced ? call.target.namespace || namespaceOf(body) : "";
    if (kind.namespaced && namespace === "") throw badRequest("an empty namespace may not be set during creation");
    const target = { ...call.target, namespace };
    this.#answer(call, 201, await this.#resources.create(target, withType(kind, body), modeOf(call)));
  }

  async #patch(call: Call): Promise<Written> {
    const { target } = call;
    const type = mediaType(call.request);
    const patch = decode(await readBody(call.request), type) as Json;
    const mode = modeOf(call);
    switch (type) {
      case "application/apply-patch+yaml":
      case "application/apply-patch+cbor":
        if ((call.query.get("fieldManager") ?? "") === "")
          throw invalid({ group: "meta.k8s.io", kind: "PatchOptions", name: "" }, [
            { path: "fieldManager", kind: "Required", message: "is required for apply patch" },
          ]);
        if (!isObject(patch)) throw badRequest("an apply patch is an object");
        refuseOtherType(target.kind, patch);
        return await this.#resources.apply(target, patch, mode);
      case "application/json-patch+json":
        return await this.#resources.patch(target, mode, (current) => jsonPatch(current, patch));
      case "application/merge-patch+json":
        return await this.#resources.patch(target, mode, (current) => objectOf(mergePatch(current, patch)));
      case "application/strategic-merge-patch+json":
        if (target.kind.conversion !== undefined) throw unsupportedPatchType(target.kind.conversion !== undefined);
        return await this.#resources.patch(target, mode, (current) =>
          strategicPatch(current, patch, target.kind.schema),
        );
      default:
        throw unsupportedPatchType(target.kind.conversion !== undefined);
    }
  }

  async #delete(call: Call): Promise<void> {
    const body = await readBody(call.request);
    const options = body.length === 0 ? {} : decodeObject(body, mediaType(call.request));
    refusePolicy(textOf(options["propagationPolicy"]) || (call.query.get("propagationPolicy") ?? ""));
    const { object, gone } = await this.#resources.delete(call.target, deleteModeOf(call, options));
    if (!gone || TOLD_WHEN_DELETED.has(call.target.kind.storage)) return this.#answer(call, 200, object);
    setWarnings(call.response, call.warnings);
    send(call.request, call.response, 200, successStatus(subjectOf(call.target), textOf(metaOf(object)["uid"])));
  }

  async #deleteCollection(call: Call): Promise<void> {
    const body = await readBody(call.request);
    const options = body.length === 0 ? {} : decodeObject(body, mediaType(call.request));
    const page = await listPage(this.#resources, selectionOf(call.target, call.query), new URLSearchParams());
    const items: JsonObject[] = [];
    for (const item of page.items) {
      const target = { ...call.target, namespace: namespaceOf(item), name: nameOf(item) };
      try {
        await this.#resources.delete(target, deleteModeOf(call, options));
        items.push(item);
      } catch (error) {
        if (!(error instanceof ApiError && error.code === 404)) throw error;
      }
    }
    send(call.request, call.response, 200, listObject(call.target, { ...page, items }));
  }

  async #scale(call: Call): Promise<void> {
    const { kind } = call.target;
    const { target } = call;
    const change = (scale: (current: JsonObject) => JsonObject) =>
      this.#resources.patch(target, modeOf(call), (current) => withScale(kind, current, scale(current)));
    if (call.request.method === "GET") {
      const object = await this.#resources.get(target);
      refuseUnscaled(kind, object);
      return this.#plain(call, scaleOf(kind, object));
    }
    const type = mediaType(call.request);
    const body = await readBody(call.request);
    if (call.request.method === "PUT") {
      const scale = decodeObject(body, type);
      return this.#plain(call, scaleOf(kind, (await change(() => scale)).object));
    }
    if (call.request.method !== "PATCH") throw methodNotAllowed();
    const patch = decode(body, type) as Json;
    const patched = (current: JsonObject) =>
      type === "application/json-patch+json"
        ? jsonPatch(scaleOf(kind, current), patch)
        : objectOf(mergePatch(scaleOf(kind, current), patch));
    this.#plain(call, scaleOf(kind, (await change(patched)).object));
  }

  async #watch(call: Call): Promise<void> {
    const { request, response, query, target } = call;
    const representation = negotiate(request.headers.accept);
    const selection = selectionOf(target, query);
    const seconds = Number(query.get("timeoutSeconds") ?? 0);
    const ended = new AbortController();
    response.once("close", () => ended.abort());
    const timer = seconds > 0 ? setTimeout(() => ended.abort(), seconds * 1000) : undefined;
    const lines = watchLines(this.#resources, selection, query, ended.signal);
    try {
      await this.#stream(call, lines, representation, ended.signal);
    } finally {
      clearTimeout(timer);
      response.end();
    }
  }

  /** Errors before the first line are an ordinary answer, later ones a last line. */
  async #stream(
    call: Call,
    lines: AsyncGenerator<{ type: string; object: JsonObject }>,
    representation: Representation,
    signal: AbortSignal,
  ): Promise<void> {
    const { response, query, target } = call;
    let header = true;
    response.setHeader("content-type", "application/json");
    response.setHeader("cache-control", "no-cache, private");
    response.flushHeaders();
    try {
      for await (const { type, object } of lines) {
        const shown =
          type === "BOOKMARK" && representation.shape === "Object"
            ? object
            : represent(object, target.kind, representation, query, this.#now(), header);
        header = false;
        if (!response.write(`${JSON.stringify({ type, object: shown })}\n`) && !signal.aborted) await drained(response);
        if (signal.aborted) return;
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      response.write(`${JSON.stringify({ type: "ERROR", object: error.status() })}\n`);
    }
  }

  async #bind(call: Call): Promise<void> {
    if (call.request.method !== "POST") throw methodNotAllowed();
    const binding = decodeObject(await readBody(call.request), mediaType(call.request));
    await this.#resources.patch(call.target, modeOf(call), (pod) => boundPod(pod, binding, this.#now()));
    const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
    send(call.request, call.response, 201, status);
  }

  #written(call: Call, written: Written): void {
    this.#answer(call, written.created ? 201 : 200, written.object);
  }

  #answer(call: Call, code: number, object: JsonObject): void {
    const representation = negotiate(call.request.headers.accept);
    setWarnings(call.response, call.warnings);
    const body = represent(object, call.target.kind, representation, call.query, this.#now());
    send(call.request, call.response, code, body, { yaml: representation.format === "yaml" });
  }

  #plain(call: Call, object: JsonObject): void {
    send(call.request, call.response, 200, object);
  }
}

function servesSubresource(kind: ServedKind, subresource: string): boolean {
  if (subresource === "status") return kind.hasStatus;
  if (subresource === "scale") return kind.scale !== undefined;
  if (subresource === "finalize") return kind.storage === "/namespaces";
  return subresource === "" || kind.storage === "/pods";
}

/** Kinds whose deleted objects are the answer of the delete. */
const TOLD_WHEN_DELETED: ReadonlySet<string> = new Set(["/services", "/serviceaccounts", "/pods"]);

const POLICIES = ["Foreground", "Background", "Orphan"];

function refusePolicy(policy: string): void {
  if (policy === "" || POLICIES.includes(policy)) return;
  const message = 'supported values: "Foreground", "Background", "Orphan", "nil"';
  const error = { path: "propagationPolicy", kind: "NotSupported" as const, value: policy, message };
  throw invalid({ group: "meta.k8s.io", kind: "DeleteOptions", name: "" }, [error]);
}

function refuseNonNumber(text: string | null): void {
  if (text !== null && text !== "" && !/^[+-]?\d+$/.test(text))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function refuseOtherType(kind: ServedKind, { apiVersion, kind: name }: JsonObject): void {
  if (apiVersion === kind.apiVersion && name === kind.kind) return;
  const version = textOf(apiVersion);
  throw badRequest(`invalid object type: ${version.includes("/") ? version : `/${version}`}, Kind=${textOf(name)}`);
}

/** Of custom kinds everything below an object is looked for as an object. */
function unknownSubresource(kind: ServedKind, name: string): ApiError {
  return kind.conversion === undefined ? noSuchPath() : notFound({ group: kind.group, kind: kind.plural, name });
}

/** The type of a custom object is told in its body. */
function refuseUntold(kind: ServedKind, body: JsonObject): void {
  const told = textOf(body["kind"]);
  if (told !== "" && told !== kind.kind && body["apiVersion"] === kind.apiVersion) {
    const error = { path: "kind", kind: "Invalid" as const, value: told, message: `must be ${kind.kind}` };
    throw invalid({ group: kind.group, kind: told, name: nameOf(body) }, [error]);
  }
  const missing = ["kind", "apiVersion"].find((field) => textOf(body[field]) === "");
  if (missing === undefined) return;
  const name = missing === "kind" ? "Kind" : missing;
  const text = JSON.stringify(body);
  throw badRequest(
    `the object provided is unrecognized (must be of type ${kind.kind}): Object '${name}' is missing in '${text}' (${text})`,
  );
}

/** Clients may leave the type out of a body whose URL says it. */
function withType(kind: ServedKind, body: JsonObject): JsonObject {
  return { ...body, apiVersion: body["apiVersion"] ?? kind.apiVersion, kind: body["kind"] ?? kind.kind };
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once("drain", resolve);
    response.once("close", resolve);
  });
}
