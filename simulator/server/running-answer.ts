import type { IncomingMessage, ServerResponse } from "node:http";
import { composeAnswer } from "../engine/answer.ts";
import { tokenId } from "../engine/tokens.ts";
import type { Context } from "./context.ts";
import { kvTransferParams, releaseBlocks } from "./disaggregation.ts";
import type { Progress } from "./driver.ts";
import { ApiError } from "./errors.ts";
import {
  type AnswerHead,
  type Choice,
  type CompletionRequest,
  formatAnswer,
  formatChunk,
  formatUsageChunk,
  parseCompletionRequest,
  STREAM_END,
} from "./openai.ts";
import type { FinishedReason } from "./stats.ts";

/** Answers a completions or chat request. Throws `ApiError` where it is refused before the engine sees it. */
export function complete(
  context: Context,
  kind: CompletionRequest["kind"],
  body: Buffer,
  incoming: IncomingMessage,
  response: ServerResponse,
): void {
  const parsed = parseCompletionRequest(kind, body);
  // Asks for the refusal that a cold cache would bring.
  const isCold = incoming.headers["x-cache-threshold-finish-reason"] === "true";
  const request = isCold ? { ...parsed, cacheHitThreshold: Number.POSITIVE_INFINITY } : parsed;
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

/** One request on its way through the engine: turns tokens into the answer, streamed or whole. */
class RunningAnswer {
  readonly context: Context;
  readonly request: CompletionRequest;
  readonly response: ServerResponse;
  /** Tokens of all prompts that needed no computing, and tokens generated. */
  cached = 0;
  generated = 0;
  readonly #head: AnswerHead;
  readonly #key: string;
  readonly #choices: Choice[] = [];

  constructor(context: Context, request: CompletionRequest, head: AnswerHead, key: string, response: ServerResponse) {
    this.context = context;
    this.request = request;
    this.#head = head;
    this.#key = key;
    this.response = response;
  }

  start(): void {
    if (this.request.stream)
      this.response
        .writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" })
        .flushHeaders();
    for (const [index, prompt] of this.request.prompts.entries())
      new RunningChoice(this, index, this.#idOf(index), prompt).start();
  }

  /** Sends a piece of a choice, where the answer is streamed. */
  write(index: number, piece: string, first: boolean, finishReason: string | null): void {
    if (this.request.stream) this.response.write(formatChunk(this.#head, { index, piece, first, finishReason }));
  }

  /** Takes a finished choice, and ends the answer with the last one. */
  finish(choice: Choice): void {
    this.#choices.push(choice);
    if (this.#choices.length < this.request.prompts.length) return;
    const prompt = this.request.prompts.reduce((sum, tokens) => sum + tokens.length, 0);
    const usage = { prompt, completion: this.generated, cached: this.cached };
    if (this.request.stream) {
      if (this.request.includeUsage) this.response.write(formatUsageChunk(this.#head, usage));
      this.response.end(STREAM_END);
      return;
    }
    const choices = this.#choices.toSorted((left, right) => left.index - right.index);
    const body = formatAnswer(this.#head, choices, usage, this.#transferParams());
    this.response.writeHead(200, { "content-type": "application/json" }).end(body);
  }

  #idOf(index: number): string {
    return `${this.#key}.${index}`;
  }

  #transferParams(): Readonly<Record<string, unknown>> | undefined {
    const { driver, engineId, address } = this.context;
    const requestId = this.#idOf(0);
    const blockIds = driver.engine.heldBlocks(requestId);
    return blockIds.length === 0 ? undefined : kvTransferParams({ engineId, requestId, blockIds, ...address });
  }
}

/** What the answer to one prompt will say, and why it ends. */
interface PlannedAnswer {
  readonly pieces: readonly string[];
  readonly finishReason: FinishedReason;
}

function planAnswer({ options, random }: Context, request: CompletionRequest, index: number): PlannedAnswer {
  const { maxTokens, ignoreEos, kvTransfer } = request;
  const echo = options.mode === "echo" ? request.texts[index] : undefined;
  const roomTokens = options.maxModelLen - request.prompts[index]!.length;
  if (!kvTransfer.remoteDecode) return composeAnswer({ maxTokens, ignoreEos, echo, roomTokens }, random);
  const { pieces } = composeAnswer({ maxTokens: 1, ignoreEos: true, echo, roomTokens }, random);
  return { pieces, finishReason: "remote_decode" };
}

/** One prompt of a request on its way through the engine. */
class RunningChoice implements Progress {
  readonly #parent: RunningAnswer;
  readonly #index: number;
  readonly #id: string;
  readonly #promptTokens: readonly number[];
  readonly #answer: PlannedAnswer;
  readonly #submitted: number;
  #admitted = 0;
  #first = 0;
  #last = 0;
  #done = false;

  constructor(parent: RunningAnswer, index: number, id: string, promptTokens: readonly number[]) {
    this.#parent = parent;
    this.#index = index;
    this.#id = id;
    this.#promptTokens = promptTokens;
    this.#answer = planAnswer(parent.context, parent.request, index);
    this.#submitted = parent.context.clock.now();
  }

  start(): void {
    const { context, request, response } = this.#parent;
    const { remotePrefill, remoteDecode } = request.kvTransfer;
    response.once("close", () => this.#abort());
    context.driver.submit(
      {
        id: this.#id,
        promptTokens: this.#promptTokens,
        outputTokens: this.#answer.pieces.map(tokenId),
        adapter: context.loras.has(request.model) ? request.model : "",
        remotePrefill,
        // An answer has one place to tell of held blocks.
        remoteDecode: remoteDecode && this.#index === 0,
        cacheHitThreshold: request.cacheHitThreshold ?? context.options.cacheHitThreshold,
      },
      this,
    );
  }

  admitted(cachedTokens: number): void {
    this.#admitted = this.#parent.context.clock.now();
    this.#parent.cached += cachedTokens;
  }

  transferred(): void {
    const { context, request } = this.#parent;
    const { holder } = request.kvTransfer;
    if (holder !== undefined) void releaseBlocks(holder, context.options.sslCertfile !== undefined);
  }

  refused(): void {
    this.#admitted = this.#parent.context.clock.now();
    this.#parent.write(this.#index, "", true, "cache_threshold");
    this.#finish("cache_threshold", "", 0);
  }

  token(position: number, finished: boolean): void {
    const { clock, stats } = this.#parent.context;
    const { pieces, finishReason } = this.#answer;
    const now = clock.now();
    if (position === 0) this.#first = now;
    else stats.recordGap((now - this.#last) / 1000);
    this.#last = now;
    this.#parent.generated++;
    this.#parent.write(this.#index, pieces[position]!, position === 0, finished ? finishReason : null);
    if (finished) this.#finish(finishReason, pieces.join(""), pieces.length);
  }

  #finish(reason: FinishedReason, text: string, generatedTokens: number): void {
    this.#done = true;
    this.#record(reason, generatedTokens);
    this.#parent.finish({ index: this.#index, text, finishReason: reason });
  }

  #abort(): void {
    if (this.#done) return;
    this.#parent.context.driver.abort(this.#id);
    this.#record("abort", 0);
  }

  #record(reason: FinishedReason, generatedTokens: number): void {
    const { stats, clock } = this.#parent.context;
    stats.recordFinished({
      reason,
      promptTokens: this.#promptTokens.length,
      generatedTokens,
      queueSeconds: (this.#admitted - this.#submitted) / 1000,
      firstTokenSeconds: (this.#first - this.#submitted) / 1000,
      totalSeconds: (clock.now() - this.#submitted) / 1000,
    });
  }
}
