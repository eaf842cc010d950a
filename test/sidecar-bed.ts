import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, request as httpRequest } from "node:http";
import { parseSidecarFlags } from "../sidecar/config/options.ts";
import { type RunningSidecar, runSidecar, type SidecarSettings } from "../sidecar/run.ts";
import { silentLogger } from "../telemetry/log.ts";
import { type LoopbackServer, listenOnLoopback } from "./loopback.ts";

/** A request as an engine saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** An engine on loopback that answers as a test says. */
export interface FakeEngine extends LoopbackServer {
  readonly hostPort: string;
  readonly port: number;
  readonly seen: SeenRequest[];
}

/** What an engine does with a request whose body is read. */
export type EngineBehaviour = (seen: SeenRequest, response: ServerResponse, request: IncomingMessage) => void;

/** Starts an engine. */
export async function startEngine(behaviour: EngineBehaviour): Promise<FakeEngine> {
  const seen: SeenRequest[] = [];
  const server = await listenOnLoopback((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const text = Buffer.concat(parts).toString("utf8");
      const { method = "", url = "", headers, rawHeaders } = request;
      const read = { method, url, headers, rawHeaders, text, json: text.startsWith("{") ? JSON.parse(text) : {} };
      seen.push(read);
      behaviour(read, response, request);
    });
  });
  const { host, port } = new URL(server.url);
  return { ...server, hostPort: host, port: Number(port), seen };
}

/** Answers with JSON. */
export function answerJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

/** Starts a sidecar before an engine, on a free port. */
export async function startSidecar(
  enginePort: number,
  args: readonly string[] = [],
  settings: Partial<SidecarSettings> = {},
): Promise<RunningSidecar> {
  const all = [`--model-server-port=${enginePort}`, "--secure-proxy=false", ...args];
  const { options, errors } = parseSidecarFlags(all, settings.env ?? {}, () => "");
  if (errors.length > 0) throw new Error(errors.join("\n"));
  return await runSidecar({
    options: { ...options, port: 0 },
    env: {},
    host: "127.0.0.1",
    engineHost: "127.0.0.1",
    logger: silentLogger,
    ...settings,
  });
}

/** An answer, whole. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly text: string;
}

/** Sends a request to a port of this machine, and reads the answer. */
export function ask(
  port: number,
  path: string,
  {
    method = "POST",
    headers = {},
    body = "",
  }: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    readonly body?: string | Buffer;
  } = {},
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const plain = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, typeof value === "string" ? value : [...value]]),
    );
    const request = httpRequest({ host: "127.0.0.1", port, path, method, headers: plain, agent: false }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.once("error", reject);
      answer.once("end", () =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          trailers: answer.trailers,
          text: Buffer.concat(parts).toString("utf8"),
        }),
      );
    });
    request.once("error", reject);
    request.end(body);
  });
}
