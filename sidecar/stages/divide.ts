import type { ServerResponse } from "node:http";
import type { Logger } from "../../telemetry/log.ts";
import type { ConcurrentConnector, Division, SequentialConnector, StageRequest } from "../connectors/connector.ts";
import type { Exchange } from "../exchange.ts";
import { RequestError } from "../http/errors.ts";
import type { Target, Upstreams } from "../http/upstream.ts";
import { type DecodeOptions, relayDecoded, stageCall } from "./decode.ts";
import { askEngine } from "./forward.ts";
import { type PrefillAnswer, type PrefillResult, type RetryPolicy, prefill } from "./prefill.ts";

/** How requests are divided. */
export interface DivideSettings {
  readonly upstreams: Upstreams;
  /** Has the engine answer the client. */
  readonly decode: (exchange: Exchange, stage: StageRequest, options: DecodeOptions) => Promise<void>;
  /** Whether the decode pod computes the prompt itself where the prefill pod cannot. */
  readonly fallsBack: boolean;
  readonly retry: RetryPolicy;
  readonly logger: Logger;
}

type Unprefilled = Exclude<PrefillResult, { readonly kind: "done" }>;

/** Has another pod compute the prompt, then the engine go on from there. */
export async function divideInSequence(
  settings: DivideSettings,
  connector: SequentialConnector,
  exchange: Exchange,
  division: Division,
  target: Target,
): Promise<void> {
  const { upstreams, retry, logger } = settings;
  const { api, requestId } = division;
  const result = await prefill(upstreams, exchange, { target, stage: connector.prefill(division), requestId, retry });
  if (result.kind !== "done") return await withoutPrefill(settings, exchange, division, result);
  exchange.account.outcome = "prefill-decode";
  const { cachedTokens, warning, ...stage } = connector.decode(division, result.answer);
  if (warning !== undefined) logger.warn(warning, { requestId, prefill: exchange.account.prefill });
  await settings.decode(exchange, stage, { api, requestId, cachedTokens });
}

/** Asks both pods at once. How prefill ends counts only until decode begins to answer. */
export async function divideAtOnce(
  settings: DivideSettings,
  connector: ConcurrentConnector,
  exchange: Exchange,
  division: Division,
  target: Target,
): Promise<void> {
  const { upstreams } = settings;
  const { api, requestId } = division;
  const stages = await connector.stages(division, exchange.signal);
  const prefillEnd = new AbortController();
  const decodeEnd = new AbortController();
  const failure = prefill(upstreams, exchange, {
    target,
    stage: stages.prefill,
    requestId,
    signal: AbortSignal.any([exchange.signal, prefillEnd.signal]),
  }).then(
    (result) => (result.kind === "done" ? pending() : result),
    () => pending(),
  );
  const startedAt = performance.now();
  const call = stageCall(exchange, stages.decode, requestId);
  const signal = AbortSignal.any([exchange.signal, decodeEnd.signal]);
  const decoding = askEngine(upstreams, exchange, { ...call, signal }).catch((error: unknown) => {
    prefillEnd.abort();
    throw error;
  });
  // It ends by this process's own will where prefill fails first.
  decoding.catch(() => {});
  exchange.account.outcome = "prefill-decode";
  const first = await Promise.race([decoding.then((answer) => ({ kind: "decoding" as const, answer })), failure]);
  if (first.kind === "decoding") {
    exchange.account.decodeMs = performance.now() - startedAt;
    return await relayDecoded(exchange, first.answer, { api, requestId });
  }
  decodeEnd.abort(new Error("prefill failed"));
  connector.failed?.(division.prefill);
  const fallsBack = settings.fallsBack && connector.decodesAlone;
  await withoutPrefill({ ...settings, fallsBack }, exchange, division, first);
}

/** Loses every race. */
const pending = (): Promise<never> => new Promise(() => {});

/** Goes on after prefill did not work: on the decode pod alone, or with what the prefill pod answered. */
async function withoutPrefill(
  { decode, fallsBack, logger }: DivideSettings,
  exchange: Exchange,
  { api, body, requestId, prefill: pod }: Division,
  { kind, answer }: Unprefilled,
): Promise<void> {
  const { account, response } = exchange;
  const fields = { requestId, prefill: account.prefill, status: answer.status, error: answer.error };
  if (kind === "failed" && fallsBack) {
    logger.warn("prefill failed; the decode pod computes the prompt itself", fields);
    account.outcome = "prefill-fallback";
    return await decode(exchange, { body: body.bytes }, { api, requestId });
  }
  logger.warn("prefill failed", fields);
  if (answer.error !== undefined)
    throw new RequestError("BadGateway", `the prefill pod ${pod.host} cannot be used`, { cause: answer.error });
  account.outcome = "stage-refused";
  sendAnswer(response, answer);
}

function sendAnswer(response: ServerResponse, { status, headers, body }: PrefillAnswer): void {
  response.writeHead(status, [...headers, "content-length", String(body.length)]).end(body);
}
