import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { composeAnswer } from "../engine/answer.ts";
import { createRandom, type Random } from "../engine/random.ts";
import { tokenId, tokenize } from "../engine/tokens.ts";
import { type Clock, EngineDriver, systemClock } from "./driver.ts";
import {
  type AnswerHead,
  ApiError,
  type Choice,
  type CompletionRequest,
  formatAnswer,
  formatChunk,
  formatUsageChunk,
  parseCompletionRequest,
  STREAM_END,
} from "./openai.ts";
import type { LoraModule, SimulatorOptions } from "./options.ts";
import { Stats } from "./stats.ts";

/** Identity of the simulated pod, echoed in answer headers. */
export interface PodIdentity {
  readonly name: string | undefined;
  readonly namespace: string | undefined;
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

interface Context {
  readonly options: SimulatorOptions;
  readonly driver: EngineDriver;
  readonly stats: Stats;
  readonly clock: Clock;
  readonly wallClock: () => number;
  readonly random: Random;
  readonly loras: Map<string, LoraModule>;
  readonly readyAtMs: number;
  requests: number;
}

/** Starts an OpenAI-compatible server around a simulated vLLM engine. */
export async function startSimulator(
  options: SimulatorOptions,
  pod: PodIdentity,
  dependencies: SimulatorDependencies = {},
): Promise<Simulator> {
  const clock = dependencies.clock ?? systemClock;
  const random = createRandom(options.seed);
  const context: Context = {
    options,
    clock,
    random,
    wallClock: dependencies.wallClock ?? Date.now,
    driver: new EngineDriver(options, clock, random),
    stats: new Stats(),
    loras: new Map(options.loraModules.map((module) => [module.name, module])),
    readyAtMs: clock.now() + options.startupDurationMs,
    requests: 0,
  };
  const server = createServer(options, (request, response) => {
    setPodHeaders(response, pod, request.socket.localPort);
    serve(context, request, response).catch((error: unknown) => sendError(response, error));
  });
  await new Promise<void>((resolve, reject) =>
    server.once("error", reject).listen(options.port, options.host, resolve),
  );
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port, driver: context.driver, close: (graceMs) => closeServer(server, graceMs) };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function createServer({ sslCertfile, sslKeyfile }: SimulatorOptions, handler: Handler): Server {
  if (sslCertfile === undefined || sslKeyfile === undefined) return createHttpServer(handler);
  return createHttpsServer({ cert: readFileSync(sslCertfile), key: readFileSync(sslKeyfile) }, handler);
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

/** Checks a request against the server's limits before it may wait for the engine. */
function admit({ options, loras, driver }: Context, request: CompletionRequest): void {
  if (!options.servedModelNames.includes(request.model) && !loras.has(request.model))
    throw new ApiError(404, `The model \`${request.model}\` does not exist.`, "model");
  for (const prompt of request.prompts) {
    const wanted = prompt.length + (request.maxTokens ?? 1);
    if (wanted > options.maxModelLen || !driver.engine.fits(wanted))
      throw new ApiError(
        400,
        `prompt and max_tokens need ${wanted} tokens; the limit is ${options.maxModelLen}`,
        "prompt",
      );
  }
  if (driver.engine.waitingCount >= options.maxWaitingQueueLength) throw new ApiError(429, "the waiting queue is full");
}

function complete(
  context: Context,
  kind: CompletionRequest["kind"],
  body: Buffer,
  incoming: IncomingMessage,
  response: ServerResponse,
): void {
  const request = parseCompletionRequest(kind, body);
  admit(context, request);
  const number = ++context.requests;
  const prefix = kind === "chat" ? "chatcmpl" : "cmpl";
  const id = incoming.headers["x-request-id"] ?? String(number);
  const head: AnswerHead = {
    kind,
    id: `${prefix}-${String(id)}`,
    created: Math.floor(context.wallClock() / 1000),
    model: request.model,
  };
  new RunningAnswer(context, request, head, `${number}`, response).start();
}

/** One request on its way through the engine: turns tokens into the answer, streamed or whole. */
class RunningAnswer {
  readonly #context: Context;
  readonly #request: CompletionRequest;
  readonly #head: AnswerHead;
  readonly #key: string;
  readonly #response: ServerResponse;
  readonly #choices: Choice[] = [];
  #cached = 0;
  #generated = 0;

  constructor(context: Context, request: CompletionRequest, head: AnswerHead, key: string, response: ServerResponse) {
    this.#context = context;
    this.#request = request;
    this.#head = head;
    this.#key = key;
    this.#response = response;
  }

  start(): void {
    if (this.#request.stream)
      this.#response
        .writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" })
        .flushHeaders();
    for (const [index, prompt] of this.#request.prompts.entries()) this.#submit(index, prompt);
  }

  #submit(index: number, promptTokens: readonly number[]): void {
    const { options, driver, clock, stats, loras, random } = this.#context;
    const { maxTokens, ignoreEos, model } = this.#request;
    const echo = options.mode === "echo" ? this.#request.texts[index] : undefined;
    const answer = composeAnswer(
      { maxTokens, ignoreEos, echo, roomTokens: options.maxModelLen - promptTokens.length },
      random,
    );
    const times = { submitted: clock.now(), admitted: 0, first: 0, last: 0 };
    const id = `${this.#key}.${index}`;
    const figures = (reason: "stop" | "length" | "abort", generatedTokens: number) => ({
      reason,
      promptTokens: promptTokens.length,
      generatedTokens,
      queueSeconds: (times.admitted - times.submitted) / 1000,
      firstTokenSeconds: (times.first - times.submitted) / 1000,
      totalSeconds: (clock.now() - times.submitted) / 1000,
    });
    let done = false;
    this.#response.once("close", () => {
      if (done) return;
      driver.abort(id);
      stats.recordFinished(figures("abort", 0));
    });
    const outputTokens = answer.pieces.map(tokenId);
    driver.submit(
      { id, promptTokens, outputTokens, adapter: loras.has(model) ? model : "" },
      {
        admitted: (cachedTokens) => {
          times.admitted = clock.now();
          this.#cached += cachedTokens;
        },
        token: (position, finished) => {
          const now = clock.now();
          if (position === 0) times.first = now;
          else stats.recordGap((now - times.last) / 1000);
          times.last = now;
          this.#generated++;
          const finishReason = finished ? answer.finishReason : null;
          if (this.#request.stream)
            this.#response.write(
              formatChunk(this.#head, { index, piece: answer.pieces[position]!, first: position === 0, finishReason }),
            );
          if (!finished) return;
          done = true;
          stats.recordFinished(figures(answer.finishReason, answer.pieces.length));
          this.#finish({ index, text: answer.pieces.join(""), finishReason: answer.finishReason });
        },
      },
    );
  }

  #finish(choice: Choice): void {
    this.#choices.push(choice);
    if (this.#choices.length < this.#request.prompts.length) return;
    const prompt = this.#request.prompts.reduce((sum, tokens) => sum + tokens.length, 0);
    const usage = { prompt, completion: this.#generated, cached: this.#cached };
    if (this.#request.stream) {
      if (this.#request.includeUsage) this.#response.write(formatUsageChunk(this.#head, usage));
      this.#response.end(STREAM_END);
      return;
    }
    const choices = this.#choices.toSorted((left, right) => left.index - right.index);
    this.#response.writeHead(200, { "content-type": "application/json" }).end(formatAnswer(this.#head, choices, usage));
  }
}
