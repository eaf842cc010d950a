import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createRandom } from "../engine/random.ts";
import { tokenize } from "../engine/tokens.ts";
import type { Context } from "./context.ts";
import { RELEASE_PATH } from "./disaggregation.ts";
import { type Clock, EngineDriver, systemClock } from "./driver.ts";
import { ApiError } from "./errors.ts";
import { createListener } from "./listener.ts";
import type { SimulatorOptions } from "./options.ts";
import { complete } from "./running-answer.ts";
import { Stats } from "./stats.ts";

/** Identity of the simulated pod, echoed in answer headers. */
export interface PodIdentity {
  readonly name: string | undefined;
  readonly namespace: string | undefined;
  /** Address that other pods reach it by; default the one it listens on. */
  readonly address?: string | undefined;
}

/** A listening simulator. */
export interface Simulator {
  readonly host: string;
  readonly port: number;
  readonly driver: EngineDriver;
  /** Stops accepting, lets running answers finish for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/** Parts that tests replace. */
export interface SimulatorDependencies {
  readonly clock?: Clock;
  /** Wall clock in ms. */
  readonly wallClock?: () => number;
}

/** Starts an OpenAI-compatible server around a simulated vLLM engine. */
export async function startSimulator(
  options: SimulatorOptions,
  pod: PodIdentity,
  dependencies: SimulatorDependencies = {},
): Promise<Simulator> {
  const clock = dependencies.clock ?? systemClock;
  const random = createRandom(options.seed);
  const server = createListener(options, (request, response) => {
    setPodHeaders(response, pod, request.socket.localPort);
    serve(context, request, response).catch((error: unknown) => sendError(response, error));
  });
  await new Promise<void>((resolve, reject) =>
    server.once("error", reject).listen(options.port, options.host, resolve),
  );
  const { address: host, port } = server.address() as AddressInfo;
  const context: Context = {
    options,
    clock,
    random,
    wallClock: dependencies.wallClock ?? Date.now,
    driver: new EngineDriver(options, clock, random),
    stats: new Stats(),
    loras: new Map(options.loraModules.map((module) => [module.name, module])),
    readyAtMs: clock.now() + options.startupDurationMs,
    engineId: randomUUID(),
    address: { host: pod.address ?? host, port },
    requests: 0,
  };
  return { host, port, driver: context.driver, close: (graceMs) => closeServer(server, graceMs) };
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function setPodHeaders(response: ServerResponse, pod: PodIdentity, port: number | undefined): void {
  if (pod.name === undefined) return;
  response.setHeader("x-inference-pod", pod.name);
  response.setHeader("x-inference-port", String(port));
  if (pod.namespace !== undefined) response.setHeader("x-inference-namespace", pod.namespace);
}

type Route = (
  context: Context,
  body: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
) => void | Promise<void>;

const ROUTES: Readonly<Record<string, Route>> = {
  "GET /health": (context, _body, _request, response) => sendHealth(context, response),
  "GET /health/ready": (context, _body, _request, response) => sendHealth(context, response),
  "GET /ping": (context, _body, _request, response) => sendHealth(context, response),
  "GET /version": (_context, _body, _request, response) => sendJson(response, 200, { version: "simulated" }),
  "GET /v1/models": (context, _body, _request, response) => sendJson(response, 200, listModels(context)),
  "GET /metrics": (context, _body, _request, response) => sendMetrics(context, response),
  "POST /v1/completions": (context, body, request, response) =>
    complete(context, "completions", body, request, response),
  "POST /v1/chat/completions": (context, body, request, response) => complete(context, "chat", body, request, response),
  "POST /tokenize": (context, body, _request, response) => sendTokens(context, body, response),
  "POST /v1/load_lora_adapter": (context, body, _request, response) => loadAdapter(context, body, response),
  "POST /v1/unload_lora_adapter": (context, body, _request, response) => unloadAdapter(context, body, response),
  [`POST ${RELEASE_PATH}`]: (context, body, _request, response) => release(context, body, response),
};

async function serve(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0]!;
  const route = ROUTES[`${request.method} ${path}`];
  if (route === undefined) throw new ApiError(404, `no such path: ${request.method} ${path}`);
  const body = await readBody(request, context.options.maxRequestBodyBytes);
  const injected = Number(request.headers["x-return-error"]);
  if (injected >= 400 && injected <= 599) throw new ApiError(injected, "failure asked for by x-return-error");
  await route(context, body, request, response);
}

async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limitBytes)
      throw new ApiError(413, `body is larger than ${limitBytes} bytes; raise --max-request-body-size-mb`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const known = error instanceof ApiError ? error : new ApiError(500, "internal error");
  response.writeHead(known.status, { "content-type": "application/json" }).end(known.body());
}

function sendHealth(context: Context, response: ServerResponse): void {
  response.writeHead(context.clock.now() >= context.readyAtMs ? 200 : 503).end();
}

function sendMetrics(context: Context, response: ServerResponse): void {
  context.driver.expireHeld();
  const page = context.stats.render(context.driver.engine, context.options, context.wallClock() / 1000);
  response.writeHead(200, {
    "content-type": "text/plain; version=0.0.4; charset=utf-8",
    "content-length": Buffer.byteLength(page),
  });
  response.end(page);
}

function listModels({ options, loras, wallClock }: Context): unknown {
  const created = Math.floor(wallClock() / 1000);
  const base = options.servedModelNames.map((id) => ({ id, root: options.model, parent: null }));
  const adapters = [...loras.values()].map(({ name, path }) => ({
    id: name,
    root: path,
    parent: options.servedModelNames[0],
  }));
  const fields = { object: "model", created, owned_by: "vllm", max_model_len: options.maxModelLen };
  return { object: "list", data: [...base, ...adapters].map((model) => ({ ...model, ...fields })) };
}

function parseStrings(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    throw new ApiError(400, "body is not JSON");
  }
}

function sendTokens(context: Context, body: Buffer, response: ServerResponse): void {
  const { prompt } = parseStrings(body);
  if (typeof prompt !== "string") throw new ApiError(400, "prompt must be a text", "prompt");
  const tokens = tokenize(prompt);
  sendJson(response, 200, { count: tokens.length, max_model_len: context.options.maxModelLen, tokens });
}

function loadAdapter(context: Context, body: Buffer, response: ServerResponse): void {
  const { lora_name: name, lora_path: path } = parseStrings(body);
  if (typeof name !== "string" || name === "") throw new ApiError(400, "lora_name must be a text", "lora_name");
  context.loras.set(name, { name, path: typeof path === "string" ? path : "" });
  response.writeHead(200).end();
}

function unloadAdapter(context: Context, body: Buffer, response: ServerResponse): void {
  const { lora_name: name } = parseStrings(body);
  if (typeof name !== "string" || !context.loras.delete(name)) throw new ApiError(404, "no such adapter", "lora_name");
  response.writeHead(200).end();
}

/** Gives up KV blocks that another engine has fetched; those of a former run are gone. */
function release({ driver, engineId }: Context, body: Buffer, response: ServerResponse): void {
  const { engine_id: engine, request_id: id } = parseStrings(body);
  if (engine !== engineId || typeof id !== "string" || !driver.release(id))
    throw new ApiError(404, "no such blocks are held", "request_id");
  response.writeHead(200).end();
}
