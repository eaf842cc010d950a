import { type IncomingMessage, request as startRequest, type ServerResponse } from "node:http";
import { request as startSecureRequest } from "node:https";
import type { JsonObject } from "../../crds/schema/types.ts";
import { ApiError, badRequest } from "./errors.ts";
import { at, listOf, nameOf, textOf } from "./objects.ts";

/** What a path under `pods/NAME/proxy` asks for. */
export interface PodProxyPath {
  readonly namespace: string;
  readonly name: string;
  readonly scheme: "http" | "https";
  /** Undefined: the pod's first container port. */
  readonly port: number | undefined;
  /** Path at the pod, from `/` on. */
  readonly path: string;
}

const PROXY = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/(?:(https?):)?([^/:]+)(?::(\d*))?\/proxy(\/.*)?$/;
/** Of one connection, not of the message (RFC 9110 §7.6.1), and what the API server keeps to itself. */
const NOT_PASSED_ON = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "te",
  "authorization",
  "host",
]);

/** Reads `/api/v1/namespaces/NS/pods/[SCHEME:]NAME[:PORT]/proxy[/PATH]`; undefined for other paths. */
export function parsePodProxyPath(path: string): PodProxyPath | undefined {
  const [whole, namespace = "", scheme, name = "", port = "", rest = "/"] = PROXY.exec(path) ?? [];
  if (whole === undefined) return undefined;
  return {
    namespace: decodeURIComponent(namespace),
    name: decodeURIComponent(name),
    scheme: scheme === "https" ? "https" : "http",
    port: port === "" ? undefined : Number(port),
    path: rest,
  };
}

/** Passes a request on to a pod and its answer back. Errors: 400 without an address or port, 503 when the pod does not answer. */
export async function proxyToPod(
  request: IncomingMessage,
  response: ServerResponse,
  pod: JsonObject,
  target: PodProxyPath,
  search: string,
): Promise<void> {
  const host = textOf(at(pod, "status", "podIP"));
  const port = target.port ?? firstPort(pod);
  if (host === "" || port === undefined)
    throw badRequest(`address not allowed: pod ${nameOf(pod)} has no address or port`);
  const start = target.scheme === "https" ? startSecureRequest : startRequest;
  const options = {
    host,
    port,
    method: request.method,
    path: target.path + search,
    headers: Object.fromEntries(Object.entries(request.headers).filter(([name]) => !NOT_PASSED_ON.has(name))),
    // Like the API server, which does not verify pods unless asked to.
    rejectUnauthorized: false,
  };
  await new Promise<void>((resolve, reject) => {
    const upstream = start(options, (answer) => {
      const headers = Object.entries(answer.headers).filter(([name]) => !NOT_PASSED_ON.has(name));
      response.writeHead(answer.statusCode ?? 502, Object.fromEntries(headers));
      answer.pipe(response).once("finish", resolve).once("error", reject);
      answer.once("error", reject);
    });
    upstream.once("error", (error) =>
      reject(new ApiError(503, "ServiceUnavailable", `error trying to reach service: ${error.message}`)),
    );
    response.once("close", () => {
      upstream.destroy();
      resolve();
    });
    request.pipe(upstream);
  });
}

function firstPort(pod: JsonObject): number | undefined {
  const ports = listOf(at(pod, "spec", "containers")).flatMap((container) => listOf(at(container, "ports")));
  const port = at(ports[0], "containerPort");
  return typeof port === "number" ? port : undefined;
}
