import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { describeError } from "../../telemetry/log.ts";
import { type Pool, poolAddresses } from "./backends.ts";
import {
  type ExtProcAnswer,
  type HeaderMutation,
  type HeaderPairs,
  encodeBody,
  encodeHeaders,
} from "./ext-proc-messages.ts";
import type { PickerStream } from "./picker-client.ts";
import { type Exchange, type ProxyContext, chooseTarget, fail, openUpstream, responseHeaders } from "./exchange.ts";
import { BodyTooLarge, Relay } from "./relay.ts";
import type { Target } from "./upstream.ts";

/** Headers that a picker may not change (Envoy's default mutation rules), and lengths, since bodies are streamed. */
const FIXED = new Set([":method", ":path", ":authority", ":scheme", "host", "content-length"]);

/**
 * A request whose endpoint the picker chooses: headers and bodies of both directions pass through it in full duplex
 * (`FULL_DUPLEX_STREAMED`). When it fails, a pool that fails open goes on with any ready endpoint, and what was on its way is
 * not lost.
 */
export class PickedExchange {
  readonly #context: ProxyContext;
  readonly #exchange: Exchange;
  readonly #pool: Pool;
  readonly #stream: PickerStream;
  readonly #requestBody: Relay;
  readonly #responseBody: Relay;
  readonly #hasBody: boolean;
  #upstream: ClientRequest | undefined;
  #target: Target | undefined;
  #answer: IncomingMessage | undefined;
  #answerSent = false;
  /** The picker takes no part any more. */
  #alone = false;
  #over = false;

  constructor(context: ProxyContext, exchange: Exchange, pool: Pool, stream: PickerStream) {
    this.#context = context;
    this.#exchange = exchange;
    this.#pool = pool;
    this.#stream = stream;
    this.#requestBody = new Relay((chunk, end) => stream.send(encodeBody("request", chunk, end)));
    this.#responseBody = new Relay((chunk, end) => stream.send(encodeBody("response", chunk, end)));
    const { headers } = exchange.request;
    this.#hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  }

  /** Carries the exchange to its end; resolves with true when the picker failed. */
  async run(): Promise<boolean> {
    const { response } = this.#exchange;
    response.once("close", () => this.#finish());
    await this.#stream.send(encodeHeaders("request", this.#requestHeaders(), { endOfStream: !this.#hasBody }));
    if (this.#hasBody) void this.#pumpRequest();
    try {
      for await (const answer of this.#stream.answers()) {
        await this.#take(answer);
        if (this.#over) return false;
      }
      await this.#goOn();
      return false;
    } catch (error) {
      if (this.#over) return false;
      this.#context.logger.v(3, "endpoint picker failed", { error: describeError(error) });
      await this.#withoutPicker(error);
      return true;
    }
  }

  #finish(): void {
    this.#over = true;
    this.#stream.cancel();
    this.#upstream?.destroy();
  }

  #requestHeaders(): HeaderPairs {
    const { request, headers } = this.#exchange;
    const pairs: [string, string][] = [
      [":method", request.method ?? "GET"],
      [":path", request.url ?? "/"],
      [":authority", request.headers.host ?? ""],
      [":scheme", "http"],
    ];
    for (const [name, value] of Object.entries(headers))
      for (const one of Array.isArray(value) ? value : [value])
        if (one !== undefined && name !== "host") pairs.push([name, String(one)]);
    return pairs;
  }

  async #pumpRequest(): Promise<void> {
    try {
      await this.#requestBody.pump(this.#exchange.request);
    } catch (error) {
      if (this.#over) return;
      if (error instanceof BodyTooLarge) fail(this.#exchange.response, 413, error.message);
      else this.#exchange.response.destroy();
      this.#finish();
    }
  }

  async #take(answer: ExtProcAnswer): Promise<void> {
    if (answer.kind === "immediate") return this.#answerImmediately(answer);
    if (answer.kind === "trailers") return;
    if (answer.phase === "request") await this.#takeRequest(answer);
    else await this.#takeResponse(answer);
  }

  async #takeRequest(answer: Exclude<ExtProcAnswer, { kind: "immediate" | "trailers" }>): Promise<void> {
    if (answer.kind === "headers") return await this.#connect(answer.destination, answer.mutation);
    if (this.#upstream !== undefined) await this.#requestBody.echoed(answer.body, answer.endOfStream, this.#upstream);
  }

  async #takeResponse(answer: Exclude<ExtProcAnswer, { kind: "immediate" | "trailers" }>): Promise<void> {
    const { response } = this.#exchange;
    if (answer.kind === "headers") this.#sendAnswer(answer.mutation);
    else await this.#responseBody.echoed(answer.body, answer.endOfStream, response);
    if (answer.kind === "body" && answer.endOfStream) this.#stream.end();
  }

  #answerImmediately({ status, mutation, body }: Extract<ExtProcAnswer, { kind: "immediate" }>): void {
    const { response, request } = this.#exchange;
    if (response.headersSent) return this.#finish();
    const headers: OutgoingHttpHeaders = { "content-type": "text/plain" };
    change(headers, mutation);
    response.writeHead(status, defined(headers)).end(body);
    request.resume();
    this.#over = true;
    this.#stream.cancel();
  }

  /** Connects to the first address of the destination list that answers; without one, to any endpoint of the pool. */
  async #connect(destination: string | undefined, mutation: HeaderMutation): Promise<void> {
    if (this.#upstream !== undefined) return;
    const target = await this.#targetOf(destination);
    if (target === undefined) return fail(this.#exchange.response, 503, "no healthy upstream");
    const changes: OutgoingHttpHeaders = this.#hasBody ? { "content-length": undefined } : {};
    change(changes, mutation);
    this.#target = target;
    this.#upstream = openUpstream(this.#context, this.#exchange, target, changes);
    this.#upstream.once("response", (answer) => void this.#relayAnswer(answer));
    if (this.#hasBody) this.#upstream.flushHeaders();
    else this.#upstream.end();
  }

  async #targetOf(destination: string | undefined): Promise<Target | undefined> {
    if (destination === undefined)
      return await chooseTarget(this.#context, poolAddresses(this.#pool, this.#context.sources.pods));
    for (const address of destination.split(",")) {
      const colon = address.lastIndexOf(":");
      const host = address
        .slice(0, colon)
        .trim()
        .replace(/^\[|\]$/g, "");
      const found = await this.#context.upstreams
        .resolve(host, Number(address.slice(colon + 1)))
        .catch(() => undefined);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #relayAnswer(answer: IncomingMessage): Promise<void> {
    this.#answer = answer;
    const pairs: [string, string][] = [[":status", String(answer.statusCode ?? 502)]];
    for (const [name, value] of Object.entries(answer.headers))
      for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) pairs.push([name, one]);
    const served = `${this.#target!.host}:${this.#target!.port}`;
    try {
      if (this.#alone) await this.#passAnswer();
      else await this.#stream.send(encodeHeaders("response", pairs, { endOfStream: false, served }));
      await this.#responseBody.pump(answer);
    } catch (error) {
      this.#context.logger.v(3, "answer cut short", { error: describeError(error) });
      fail(this.#exchange.response, 503, "upstream reset before its answer was complete");
      this.#finish();
    }
  }

  #sendAnswer(mutation: HeaderMutation): void {
    const answer = this.#answer;
    if (answer === undefined || this.#answerSent || this.#exchange.response.headersSent) return;
    this.#answerSent = true;
    const headers = responseHeaders(this.#exchange, answer);
    delete headers["content-length"];
    change(headers, mutation);
    this.#exchange.response.writeHead(answer.statusCode ?? 502, defined(headers));
    this.#exchange.response.flushHeaders();
  }

  async #passAnswer(): Promise<void> {
    this.#sendAnswer({ set: [], remove: [] });
    await this.#responseBody.bypass(this.#exchange.response);
  }

  /** The picker closed the stream without an error: it has nothing more to say, whatever the failure mode. */
  async #goOn(): Promise<void> {
    if (this.#exchange.response.writableEnded) return;
    await this.#bypass();
  }

  async #withoutPicker(error: unknown): Promise<void> {
    if (this.#pool.failOpen) return await this.#bypass();
    fail(this.#exchange.response, 500, `endpoint picker failed: ${describeError(error)}`);
    this.#finish();
  }

  async #bypass(): Promise<void> {
    this.#alone = true;
    await this.#connect(undefined, { set: [], remove: [] });
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    if (this.#hasBody && !upstream.writableEnded) await this.#requestBody.bypass(upstream);
    if (this.#answer !== undefined) await this.#passAnswer();
  }
}

function change(headers: OutgoingHttpHeaders, { set, remove }: HeaderMutation): void {
  for (const name of remove) if (!FIXED.has(name.toLowerCase())) headers[name.toLowerCase()] = undefined;
  for (const [name, value] of set) if (!FIXED.has(name.toLowerCase())) headers[name.toLowerCase()] = value;
}

function defined(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}
