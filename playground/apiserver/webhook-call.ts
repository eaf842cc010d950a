import { Agent, request } from "node:https";
import type { JsonObject } from "../../crds/schema/types.ts";
import { at, isObject, listOf, textOf } from "./objects.ts";
import type { Store } from "./store.ts";

/** Posts a review to a webhook's `clientConfig` and returns the answer. Errors: plain `Error` with the cause's text. */
export type WebhookCaller = (clientConfig: JsonObject, review: JsonObject, timeoutMs: number) => Promise<JsonObject>;

interface Target {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Name that the certificate must carry. */
  readonly serverName: string;
}

/** A webhook's answer may not be larger. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Connections that wait for the next review, as API servers keep them: a handshake costs more than a review. */
const CONNECTIONS = new Agent({ keepAlive: true, timeout: 60_000, maxFreeSockets: 8 });

/** Creates a caller that finds services by the EndpointSlices in the store. */
export function createWebhookCaller(store: Store): WebhookCaller {
  return async (clientConfig, review, timeoutMs) => {
    const target = targetOf(clientConfig, store);
    const ca = Buffer.from(textOf(clientConfig["caBundle"]), "base64").toString("utf8");
    const answer: unknown = JSON.parse(await post(target, ca, JSON.stringify(review), timeoutMs));
    if (!isObject(answer)) throw new Error("the webhook's answer is no JSON object");
    return answer;
  };
}

function targetOf(clientConfig: JsonObject, store: Store): Target {
  const url = textOf(clientConfig["url"]);
  if (url === "") return serviceTarget(clientConfig, store);
  const { hostname, port, pathname, search } = new URL(url);
  return { host: hostname, port: Number(port || 443), path: `${pathname}${search}`, serverName: hostname };
}

function serviceTarget(clientConfig: JsonObject, store: Store): Target {
  const [namespace, name] = [
    textOf(at(clientConfig, "service", "namespace")),
    textOf(at(clientConfig, "service", "name")),
  ];
  const service = store.get("/services", `${namespace}/${name}`);
  if (service === undefined) throw new Error(`service ${JSON.stringify(name)} not found`);
  const wanted = Number(at(clientConfig, "service", "port") ?? 443);
  const port = listOf(at(service, "spec", "ports")).find((item) => at(item, "port") === wanted);
  if (port === undefined) throw new Error(`no service port ${wanted} found for service ${JSON.stringify(name)}`);
  const endpoint = endpointOf(store, namespace, name, textOf(at(port, "name")));
  if (endpoint === undefined) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
  const path = textOf(at(clientConfig, "service", "path")) || "/";
  return { ...endpoint, path, serverName: `${name}.${namespace}.svc` };
}

function endpointOf(store: Store, namespace: string, service: string, portName: string) {
  for (const { object } of store.list("discovery.k8s.io/endpointslices", `${namespace}/`)) {
    if (at(object, "metadata", "labels", "kubernetes.io/service-name") !== service) continue;
    const port = listOf(object["ports"]).find((item) => textOf(at(item, "name")) === portName);
    const ready = listOf(object["endpoints"]).find((item) => at(item, "conditions", "ready") !== false);
    const host = textOf(at(ready, "addresses", 0));
    if (port !== undefined && host !== "") return { host, port: Number(at(port, "port")) };
  }
  return undefined;
}

function post(target: Target, ca: string, body: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: target.host,
        port: target.port,
        path: target.path,
        method: "POST",
        servername: /^[\d.]+$|:/.test(target.serverName) ? "" : target.serverName,
        ...(ca === "" ? {} : { ca }),
        signal: AbortSignal.timeout(timeoutMs),
        agent: CONNECTIONS,
        headers: {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
          accept: "application/json",
        },
      },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > MAX_ANSWER_BYTES) answer.destroy(new Error("the answer is too large"));
        });
        answer.once("error", reject);
        answer.once("end", () => {
          if (answer.statusCode === 200) resolve(text);
          else reject(new Error(`the server answered ${answer.statusCode}: ${text.slice(0, 500)}`));
        });
      },
    );
    call.once("error", reject);
    call.end(body);
  });
}
