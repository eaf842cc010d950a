import { ScanError } from "../json/scan.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Api } from "./body/api.ts";
import { jsonObject, JsonDocument } from "./body/document.ts";
import type { SidecarOptions } from "./config/options.ts";
import type { ConcurrentConnector, SequentialConnector } from "./connectors/connector.ts";
import { p2pPeer } from "./connectors/p2p.ts";
import { decodesFirst } from "./connectors/shared-storage.ts";
import type { Exchange } from "./exchange.ts";
import { RequestError, sendText } from "./http/errors.ts";
import { BodyTooLarge, readBody } from "./http/read-body.ts";
import type { TlsClient, Upstreams } from "./http/upstream.ts";
import type { Routing } from "./routing.ts";
import { decodeInChunks } from "./stages/chunked.ts";
import { decode, type DecodeOptions } from "./stages/decode.ts";
import { decodeFirst } from "./stages/decode-first.ts";
import { type DivideSettings, divideAtOnce, divideInSequence } from "./stages/divide.ts";
import { encode } from "./stages/encode.ts";
import { forward } from "./stages/forward.ts";
import { type HostPort, hostPortText } from "./wire.ts";

/** What requests of the APIs are served with. */
export interface ApiParts {
  readonly options: SidecarOptions;
  readonly upstreams: Upstreams;
  readonly connector: SequentialConnector | ConcurrentConnector;
  readonly tls: { readonly prefill: TlsClient | undefined; readonly encode: TlsClient | undefined };
  /** Whether a host may be asked. */
  readonly allows: (host: string) => boolean;
  readonly logger: Logger;
  readonly random: () => number;
  readonly newId: () => string;
}

/** What the endpoint picker named, as far as it may be asked. */
interface Helpers {
  readonly prefill: HostPort | undefined;
  readonly encoders: readonly HostPort[];
  readonly kvSource: HostPort | undefined;
}

const FORBIDDEN = "Forbidden: prefill target not allowed by SSRF protection";

/** Serves a request of one of the APIs, for this data-parallel rank: has others help as far as they are named. */
export async function serveApi(
  parts: ApiParts,
  exchange: Exchange,
  api: Api,
  routing: Routing,
  rank: number,
): Promise<void> {
  const { options, upstreams } = parts;
  const prefills = routing.prefill.filter(({ host }) => parts.allows(host));
  if (routing.prefill.length > 0 && prefills.length === 0) {
    exchange.account.outcome = "refused";
    return sendText(exchange.response, 403, `${FORBIDDEN}\n`, "text/plain; charset=utf-8");
  }
  const prefill = prefills[options.prefillerSampling ? Math.floor(parts.random() * prefills.length) : 0];
  const encoders = options.ecConnector !== "" && api === "chat" ? routing.encoders : [];
  const helpers = {
    prefill,
    encoders: encoders.filter(({ host }) => parts.allows(host)),
    kvSource: kvSourceOf(parts, routing, prefill, rank),
  };
  const isWhole = options.decodeChunkTokens === 0 || api !== "chat";
  if (prefill === undefined && helpers.kvSource === undefined && helpers.encoders.length === 0 && isWhole)
    return await forward(upstreams, exchange);
  await serveWithHelp(parts, exchange, api, helpers);
}

/** A pod that cached blocks may be pulled from: another one than the pod that would pull. */
function kvSourceOf(
  { options, allows }: ApiParts,
  { kvSource }: Routing,
  prefill: HostPort | undefined,
  rank: number,
): HostPort | undefined {
  const isPulled = options.kvConnector === "offloading" || options.p2pPull;
  if (kvSource === undefined || !isPulled || !allows(kvSource.host)) return undefined;
  const own = options.podIp === undefined ? undefined : { host: options.podIp, port: options.port + rank };
  const puller = prefill ?? own;
  return puller !== undefined && hostPortText(puller) === hostPortText(kvSource) ? undefined : kvSource;
}

async function serveWithHelp(parts: ApiParts, exchange: Exchange, api: Api, helpers: Helpers): Promise<void> {
  const { options, upstreams, tls, logger, newId } = parts;
  const sent = await readDocument(exchange, options.maxBodyBytes);
  const requestId = newId();
  const { prefill, encoders, kvSource } = helpers;
  const { account } = exchange;
  account.requestId = requestId;
  const hasParameters = options.ecConnector === "ec-nixl";
  const encoding = { upstreams, tls: tls.encode, hasParameters, logger };
  const body = encoders.length === 0 ? sent : await encode(encoding, exchange, sent, encoders, requestId);
  if (kvSource !== undefined) account.kvSource = hostPortText(kvSource);
  const peer = kvSource === undefined ? undefined : p2pPeer(kvSource, newId(), options);
  if (prefill !== undefined) return await divide(parts, exchange, { api, body, requestId, prefill, kvSource: peer });
  const stage =
    peer === undefined ? body.bytes : body.with({ kv_transfer_params: jsonObject({ remote_kv_source: peer }) });
  await decoder(parts)(exchange, { body: stage }, { api, requestId });
}

/** How the engine is had to answer. */
function decoder({ options, upstreams }: ApiParts): DivideSettings["decode"] {
  const { decodeChunkTokens } = options;
  if (decodeChunkTokens === 0) return (exchange, stage, how) => decode(upstreams, exchange, stage, how);
  return (exchange, stage, how: DecodeOptions) => decodeInChunks(upstreams, exchange, stage, how, decodeChunkTokens);
}

async function divide(
  parts: ApiParts,
  exchange: Exchange,
  division: Parameters<typeof divideInSequence>[3],
): Promise<void> {
  const { options, connector, upstreams, logger, tls } = parts;
  const settings: DivideSettings = {
    upstreams,
    decode: decoder(parts),
    fallsBack: options.prefillFallback === "local",
    retry: { maxRetries: options.prefillRetries, backoffMs: options.prefillBackoffMs },
    logger,
  };
  exchange.account.prefill = hostPortText(division.prefill);
  const target = { ...division.prefill, tls: tls.prefill };
  const asksFirst = options.kvConnector === "shared-storage" && decodesFirst(division.body);
  if (asksFirst && (await decodeFirst(upstreams, exchange, division.body))) return;
  if (connector.order === "sequential") return await divideInSequence(settings, connector, exchange, division, target);
  await divideAtOnce(settings, connector, exchange, division, target);
}

/** The body of a request. Rejects with `RequestError` for one that is no JSON object, or too large. */
async function readDocument({ request, signal }: Exchange, maxBytes: number): Promise<JsonDocument> {
  try {
    return new JsonDocument(await readBody(request, maxBytes));
  } catch (cause) {
    if (signal.aborted) throw cause;
    if (cause instanceof BodyTooLarge)
      throw new RequestError(
        "RequestEntityTooLarge",
        `the request body has more than ${maxBytes} bytes, the limit of --max-request-body-size`,
      );
    if (cause instanceof ScanError)
      throw new RequestError("BadRequestError", `invalid JSON: ${cause.message}`, { cause });
    throw new RequestError("BadRequestError", "the request body cannot be read", { cause });
  }
}
