import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { parseYaml } from "../../kube/yaml.ts";
import type { Json, JsonObject, Scenario, Step } from "./step.ts";

/** A server to ask. */
export interface Server {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Certificate (PEM) to trust; absent for plain HTTP. */
  readonly ca?: string;
}

/** What came back. A watch answers with an array of its events. */
export interface Outcome {
  readonly step: Step;
  readonly code: number;
  readonly contentType: string;
  readonly warnings: readonly string[];
  readonly body: Json;
}

const WATCH_MS = 1000;

/** Sends the requests of a scenario one after the other. */
export async function runScenario(server: Server, scenario: Scenario): Promise<Outcome[]> {
  const seen = new Map<string, Seen>();
  const outcomes: Outcome[] = [];
  for (const step of scenario.steps) {
    const outcome = await send(server, scenario.namespace, step, seen);
    remember(seen, step, outcome.body);
    outcomes.push(outcome);
  }
  return outcomes;
}

interface Seen {
  readonly uid: string;
  readonly first: string;
  last: string;
  /** The first version that any object of the name had. */
  readonly origin: string;
}

/** Objects are known by the path of the collection or object that was asked, and their name. */
function remember(seen: Map<string, Seen>, step: Step, body: Json): void {
  const metadata = isObject(body) && isObject(body["metadata"]) ? body["metadata"] : undefined;
  const { name, uid, resourceVersion: version } = metadata ?? {};
  if (typeof name !== "string" || typeof uid !== "string" || typeof version !== "string") return;
  const collection =
    step.method === "POST" ? step.path : step.path.replace(/\/(status|scale)$/, "").replace(/\/[^/]+$/, "");
  const key = `${collection}/${name}`;
  const known = seen.get(key);
  if (known === undefined || known.uid !== uid)
    seen.set(key, { uid, first: version, last: version, origin: known?.origin ?? version });
  else known.last = version;
}

function bodyOf(step: Step, seen: ReadonlyMap<string, Seen>): Json | undefined {
  let { body } = step;
  const versionOf = step.version === undefined ? undefined : seen.get(step.version.of);
  if (versionOf !== undefined && isObject(body)) {
    const metadata = isObject(body["metadata"]) ? body["metadata"] : {};
    body = { ...body, metadata: { ...metadata, resourceVersion: versionOf[step.version!.which] } };
  }
  if (step.uid === undefined || !isObject(body)) return body;
  const uid = seen.get(step.uid.of)?.uid ?? "00000000-0000-0000-0000-000000000000";
  if (step.uid.at === "preconditions") return { ...body, preconditions: { uid } };
  const metadata = isObject(body["metadata"]) ? body["metadata"] : {};
  const [owner] = Array.isArray(metadata["ownerReferences"]) ? (metadata["ownerReferences"] as Json[]) : [];
  return { ...body, metadata: { ...metadata, ownerReferences: [{ ...(owner as JsonObject), uid }] } };
}

async function send(server: Server, namespace: string, step: Step, seen: ReadonlyMap<string, Seen>): Promise<Outcome> {
  const inNamespace = (text: string): string => text.replaceAll("{ns}", namespace);
  const since = step.since === undefined ? undefined : seen.get(step.since)?.origin;
  const version = since === undefined ? {} : { resourceVersion: since };
  const query = new URLSearchParams({ ...step.query, ...version }).toString();
  const url = new URL(`${server.url}${inNamespace(step.path)}${query === "" ? "" : `?${query}`}`);
  const body = bodyOf(step, seen);
  const payload = body === undefined ? undefined : inNamespace(typeof body === "string" ? body : JSON.stringify(body));
  const headers = {
    ...server.headers,
    accept: step.accept ?? "application/json",
    "user-agent": "conformance/1",
    ...(payload === undefined
      ? {}
      : {
          "content-type": step.contentType ?? "application/json",
          "content-length": String(Buffer.byteLength(payload)),
        }),
  };
  const { code, response, text } = await exchange(url, step, headers, payload, server.ca);
  return {
    step,
    code,
    contentType: String(response.headers["content-type"] ?? ""),
    warnings: [response.headers["warning"] ?? []].flat().map(String),
    body: decode(text, step.watch === true && code === 200, String(response.headers["content-type"])),
  };
}

function exchange(
  url: URL,
  step: Step,
  headers: Readonly<Record<string, string>>,
  payload: string | undefined,
  ca: string | undefined,
) {
  return new Promise<{ code: number; response: IncomingMessage; text: string }>((resolve, reject) => {
    const options = { method: step.method, headers: { ...headers }, ...(ca === undefined ? {} : { ca }) };
    const call = (ca === undefined ? httpRequest : httpsRequest)(url, options, (response) => {
      let text = "";
      const done = (): void => resolve({ code: response.statusCode ?? 0, response, text });
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.once("end", done).once("error", done);
      if (step.watch === true && response.statusCode === 200)
        setTimeout(() => {
          done();
          call.destroy();
        }, WATCH_MS);
    });
    call.once("error", reject);
    call.end(payload);
  });
}

function decode(text: string, isWatch: boolean, contentType: string): Json {
  if (contentType.startsWith("application/yaml")) return parseYaml(text) as Json;
  if (isWatch)
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Json);
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
