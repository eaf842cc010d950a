import type { Logger } from "../../telemetry/log.ts";
import { singleToken } from "../body/api.ts";
import { type Edits, JsonDocument, readDocument } from "../body/document.ts";
import { mediaParts } from "../body/media.ts";
import type { Exchange } from "../exchange.ts";
import { RequestError } from "../http/errors.ts";
import { readBody } from "../http/read-body.ts";
import type { TlsClient, Upstreams } from "../http/upstream.ts";
import { type HostPort, hostPortText } from "../wire.ts";
import { HIT_THRESHOLD } from "../connectors/shared-storage.ts";
import { stageCall } from "./decode.ts";

/** How images, videos and audio are encoded elsewhere. */
export interface EncodeSettings {
  readonly upstreams: Upstreams;
  readonly tls: TlsClient | undefined;
  /** Whether encoders answer parameters by which the next stages find the embeddings. */
  readonly hasParameters: boolean;
  readonly logger: Logger;
}

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const PATH = "/v1/chat/completions";

/**
 * Has encoders work on what a chat completion holds beside text, one request for each item, in turn over the encoders. Returns the
 * request for the stages that follow. Rejects with `RequestError` where an encoder fails; the other requests then end.
 */
export async function encode(
  { upstreams, tls, hasParameters, logger }: EncodeSettings,
  exchange: Exchange,
  body: JsonDocument,
  encoders: readonly HostPort[],
  requestId: string,
): Promise<JsonDocument> {
  const items = mediaParts(body);
  if (items.length === 0) return body;
  exchange.account.encoders = items.length;
  const failure = new AbortController();
  const signal = AbortSignal.any([exchange.signal, failure.signal]);
  const ask = async (item: Buffer, index: number): Promise<JsonDocument | undefined> => {
    const encoder = encoders[index % encoders.length]!;
    const stage = { body: itemRequest(body, item) };
    const call = { ...stageCall(exchange, stage, `${requestId}-enc-${index}`), path: PATH, signal };
    try {
      const answer = await upstreams.send({ ...encoder, tls }, call);
      const text = await readBody(answer, MAX_ANSWER_BYTES);
      if ((answer.statusCode ?? 502) >= 300) throw new Error(`status ${answer.statusCode}`);
      return readDocument(text);
    } catch (cause) {
      failure.abort(cause);
      if (exchange.signal.aborted) throw cause;
      throw new RequestError("BadGateway", `the encoder ${hostPortText(encoder)} cannot be used`, { cause });
    }
  };
  const answers = await Promise.all(items.map(ask));
  const parameters = hasParameters ? parametersOf(answers) : {};
  if (hasParameters && Object.keys(parameters).length === 0)
    logger.warn("encoders answered without ec_transfer_params", { requestId });
  return new JsonDocument(body.with({ ...parameters, [HIT_THRESHOLD]: "0" }));
}

/** The request of one item: the client's, with the item as its only content. */
export function itemRequest(body: JsonDocument, item: Buffer): Buffer {
  const messages = Buffer.concat([Buffer.from('[{"role":"user","content":['), item, Buffer.from("]}]")]);
  return body.with({ ...singleToken(body, "chat", "one"), messages });
}

/** What encoders answered, in one object: later ones win. */
export function parametersOf(answers: readonly (JsonDocument | undefined)[]): Edits {
  const merged = answers.flatMap((answer) => {
    const value = answer?.value("ec_transfer_params");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? [value] : [];
  });
  return merged.length === 0 ? {} : { ec_transfer_params: JSON.stringify(Object.assign({}, ...merged)) };
}
