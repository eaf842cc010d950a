import { withCachedTokens } from "../body/cached-tokens.ts";
import {
  type Chunk,
  chunkEvent,
  type ChunkedRequest,
  chunkedRequest,
  chunkRequest,
  joinedAnswer,
  readChunk,
  usageEvent,
} from "../body/chunks.ts";
import { type JsonDocument, readDocument } from "../body/document.ts";
import type { StageRequest } from "../connectors/connector.ts";
import type { Exchange } from "../exchange.ts";
import { readBody } from "../http/read-body.ts";
import type { Upstreams } from "../http/upstream.ts";
import { decode, type DecodeOptions, stageCall } from "./decode.ts";
import { askEngine } from "./forward.ts";

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Has the engine answer: a long chat completion chunk by chunk, so that no request holds its place for long. */
export async function decodeInChunks(
  upstreams: Upstreams,
  exchange: Exchange,
  stage: StageRequest,
  options: DecodeOptions,
  chunkTokens: number,
): Promise<void> {
  const body = readDocument(stage.body);
  const wanted = body !== undefined && options.api === "chat" ? chunkedRequest(body, chunkTokens) : undefined;
  if (body === undefined || wanted === undefined) return await decode(upstreams, exchange, stage, options);
  await new ChunkedAnswer(upstreams, exchange, options, { stage, body, wanted, chunkTokens }).run();
}

interface Work {
  readonly stage: StageRequest;
  readonly body: JsonDocument;
  readonly wanted: ChunkedRequest;
  readonly chunkTokens: number;
}

/** One answer in the making. */
class ChunkedAnswer {
  readonly #upstreams: Upstreams;
  readonly #exchange: Exchange;
  readonly #options: DecodeOptions;
  readonly #work: Work;
  readonly #chunks: Chunk[] = [];

  constructor(upstreams: Upstreams, exchange: Exchange, options: DecodeOptions, work: Work) {
    this.#upstreams = upstreams;
    this.#exchange = exchange;
    this.#options = options;
    this.#work = work;
  }

  async run(): Promise<void> {
    for (;;) {
      const { status, body } = await this.#ask();
      const document = status < 300 ? readDocument(body) : undefined;
      const chunk = document === undefined ? undefined : readChunk(document);
      if (chunk === undefined) return await this.#giveUp(status, body);
      this.#chunks.push(chunk);
      const isLast = chunk.finishReason !== "length" || chunk.text === "" || this.#left() === 0;
      this.#tell(chunk, isLast);
      if (isLast) return this.#end();
    }
  }

  /** Tokens of the next chunk. */
  #left(): number {
    const { wanted, chunkTokens } = this.#work;
    const used = this.#chunks.reduce((sum, chunk) => sum + chunk.completionTokens, 0);
    return wanted.budget === undefined ? chunkTokens : Math.max(0, Math.min(chunkTokens, wanted.budget - used));
  }

  async #ask(): Promise<{ readonly status: number; readonly body: Buffer }> {
    const { stage, body } = this.#work;
    const text = this.#chunks.map((chunk) => chunk.text).join("");
    const request = { ...stage, body: chunkRequest(body, text, this.#left()) };
    const startedAt = performance.now();
    const call = stageCall(this.#exchange, request, this.#chunkId());
    const answer = await askEngine(this.#upstreams, this.#exchange, call);
    this.#exchange.account.decodeMs ??= performance.now() - startedAt;
    const read = await readBody(answer, MAX_ANSWER_BYTES);
    const { api, cachedTokens } = this.#options;
    const isFirst = this.#chunks.length === 0 && cachedTokens !== undefined;
    return { status: answer.statusCode ?? 502, body: isFirst ? withCachedTokens(read, api, cachedTokens) : read };
  }

  /** Engines refuse an id that they know; the first chunk belongs to what prefill was asked. */
  #chunkId(): string | undefined {
    const { requestId } = this.#options;
    if (requestId === undefined || this.#chunks.length === 0) return requestId;
    return `${requestId}-${this.#chunks.length}`;
  }

  #tell(chunk: Chunk, isLast: boolean): void {
    const { response } = this.#exchange;
    if (!this.#work.wanted.isStream) return;
    if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.write(chunkEvent(chunk, this.#chunks[0]!, isLast));
  }

  #end(): void {
    const { response } = this.#exchange;
    const { isStream, wantsUsage } = this.#work.wanted;
    if (isStream) return void response.end(`${wantsUsage ? usageEvent(this.#chunks) : ""}data: [DONE]\n\n`);
    const text = joinedAnswer(this.#chunks);
    response
      .writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      .end(text);
  }

  /** A chunk that is none: the client gets the engine's answer, or has it all in one where nothing has been answered. */
  async #giveUp(status: number, body: Buffer): Promise<void> {
    const { response } = this.#exchange;
    if (status < 300 && this.#chunks.length === 0)
      return await decode(this.#upstreams, this.#exchange, this.#work.stage, this.#options);
    if (response.headersSent) {
      const data = body.toString("utf8").replaceAll(/[\r\n]+/g, " ");
      return void response.end(`data: ${data}\n\ndata: [DONE]\n\n`);
    }
    const head = { "content-type": "application/json", "content-length": body.length };
    response.writeHead(status < 300 ? 502 : status, head).end(body);
  }
}
